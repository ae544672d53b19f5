"""The sequences of factors against those of PyTorch's schedulers."""

from __future__ import annotations

import numpy as np
import pytest

from cnntrain.schedules import SCHEDULES, Schedule
from tests.golden import training_cases as training
from tests.golden.checks import load
from tests.schedules.observed import Observed

WITHOUT = {"constant", "inverse"}  # the one needs no proof, PyTorch does not have the other: see test_schedules.py


def made(settings: dict) -> Schedule:
    [(name, own)] = settings.items()
    entry = SCHEDULES[name]
    return entry(entry.Settings.model_validate(own), training.TOTAL, training.STEPS_PER_EPOCH)


@pytest.mark.parametrize("case", training.SCHEDULES)
def test_every_step(case: str) -> None:
    tested = made(training.SCHEDULES[case][0])
    factors = [tested.factor(step) for step in range(training.TOTAL)]
    np.testing.assert_allclose(factors, load("schedules")[case]["factors"], rtol=1e-12, atol=1e-14)


def test_every_schedule_has_golden_values() -> None:
    covered = {next(iter(settings)) for settings, *_ in training.SCHEDULES.values()} | {"plateau"}
    assert covered == set(SCHEDULES) - WITHOUT


def seen(settings: dict, value: float) -> Observed:
    return Observed(None, value) if settings.get("metric") == "accuracy" else Observed(value)


@pytest.mark.parametrize("case", training.PLATEAUS)
def test_plateau(case: str) -> None:
    settings, _ = training.PLATEAUS[case]
    expected = load("plateaus")[case]["factors"]
    tested, factors = made({"plateau": settings}), []
    for value in training.observed(settings.get("metric", "loss")):
        tested.observe(seen(settings, float(value)))
        factors.append(tested.factor(0))
    np.testing.assert_allclose(factors, expected, rtol=1e-12)
    assert len(set(factors)) > 1, "the case shows no drop"


@pytest.mark.parametrize("case", training.PLATEAUS)
def test_a_plateau_goes_on_from_its_state(case: str) -> None:
    settings, _ = training.PLATEAUS[case]
    values = [float(value) for value in training.observed(settings.get("metric", "loss"))]
    straight = made({"plateau": settings})
    for at, value in enumerate(values):
        resumed = made({"plateau": settings})
        resumed.load_state(straight.state())
        later = straight.state()
        for tested in (straight, resumed):
            tested.observe(seen(settings, value))
        assert (resumed.state(), resumed.factor(9)) == (straight.state(), straight.factor(9)), at
        assert later != straight.state() or at > 0
