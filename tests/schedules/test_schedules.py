from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from cnntrain.errors import CheckpointError
from cnntrain.schedules import SCHEDULES, Schedule
from tests.schedules.observed import Observed

# 10 epochs of 100 steps everywhere


def schedule(name: str, **settings: object) -> Schedule:
    entry = SCHEDULES[name]
    return entry(entry.Settings.model_validate(settings), total_steps=1000, steps_per_epoch=100)


def test_registry_names_are_the_classes_names() -> None:
    assert list(SCHEDULES) == [
        "constant", "step", "multi_step", "exponential", "inverse", "polynomial",
        "linear", "triangular", "cosine", "cosine_restarts", "plateau",
    ]  # fmt: skip
    assert all(entry.name == name for name, entry in SCHEDULES.items())


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("constant", {}, {0: 1, 1: 1, 999: 1}),
        ("step", {"every_epochs": 3, "gamma": 0.5}, {0: 1, 299: 1, 300: 0.5, 599: 0.5, 600: 0.25, 900: 0.125}),
        ("step", {"every_epochs": 0.5}, {49: 1, 50: 0.1, 100: 0.01}),
        ("step", {"every_steps": 7, "gamma": 0.5}, {0: 1, 6: 1, 7: 0.5, 13: 0.5, 14: 0.25}),
        ("multi_step", {"epochs": [2, 7.5]}, {0: 1, 199: 1, 200: 0.1, 749: 0.1, 750: 0.01, 999: 0.01}),
        ("multi_step", {"steps": [5, 8], "gamma": 0.2}, {4: 1, 5: 0.2, 7: 0.2, 8: 0.04}),
        ("exponential", {"gamma": 0.25}, {0: 1, 50: 0.5, 100: 0.25, 200: 0.0625}),
        # Caffe's LeNet after 10,000 steps: (1 + 1)^-0.75
        ("inverse", {"gamma": 1e-4, "power": 0.75}, {0: 1, 10_000: 0.5946035575013605, 70_000: 8**-0.75}),
        ("inverse", {"gamma": 0.01, "power": 2}, {100: 0.25, 300: 0.0625}),
        ("polynomial", {}, {0: 1, 250: 0.75, 999: 0.001, 1000: 0, 1001: 0}),
        ("polynomial", {"power": 2}, {500: 0.25, 900: 0.01}),
        ("cosine", {}, {0: 1, 250: (1 + math.sqrt(0.5)) / 2, 500: 0.5, 1000: 0, 1001: 0}),
        ("cosine", {"final_factor": 0.2}, {0: 1, 500: 0.6, 1000: 0.2}),
        ("linear", {}, {0: 1, 250: 0.75, 1000: 0, 1001: 0}),
        ("linear", {"start_factor": 0.1, "final_factor": 2, "epochs": 5}, {0: 0.1, 250: 1.05, 500: 2, 999: 2}),
        ("linear", {"steps": 40}, {0: 1, 10: 0.75, 40: 0, 41: 0}),
        ("exponential", {"gamma": 0.25, "per_steps": 10}, {0: 1, 5: 0.5, 10: 0.25, 20: 0.0625}),
        ("cosine_restarts", {"steps": 30}, {0: 1, 15: 0.5, 30: 1, 45: 0.5, 60: 1}),
        ("constant", {"warmup_steps": 4}, {0: 0.25, 1: 0.5, 3: 1, 4: 1}),
        ("linear", {"warmup_steps": 10, "steps": 20}, {9: 1, 10: 1, 20: 0.5, 30: 0}),
        ("triangular", {}, {0: 0.04, 299: 1, 999: 0, 1000: 0}),
        ("triangular", {"peak": 0, "final_factor": 0.1}, {0: 1, 999: 0.1, 2000: 0.1}),
        ("triangular", {"peak": 1, "start_factor": 0.5}, {0: 0.5, 999: 1, 1000: 1}),
        ("triangular", {"peak": 0.5, "shape": "cosine", "start_factor": 0}, {0: 0, 499: 1, 749: 0.5, 999: 0}),
        ("cosine_restarts", {"epochs": 4}, {0: 1, 200: 0.5, 400: 1, 600: 0.5, 800: 1}),
        ("cosine_restarts", {"epochs": 1, "growth": 2}, {0: 1, 50: 0.5, 100: 1, 200: 0.5, 300: 1, 500: 0.5, 700: 1}),
        ("cosine_restarts", {"epochs": 2, "growth": 1.5, "final_factor": 0.5}, {200: 1, 350: 0.75, 500: 1, 725: 0.75}),
        ("plateau", {}, {0: 1, 999: 1}),
        # A warm-up of 200 steps rises by 1/200; smooth schedules then begin at 1 and use the 800 steps that remain ...
        ("constant", {"warmup_epochs": 2}, {0: 0.005, 99: 0.5, 199: 1, 200: 1}),
        ("cosine", {"warmup_epochs": 2}, {0: 0.005, 199: 1, 200: 1, 600: 0.5, 1000: 0}),
        ("polynomial", {"warmup_epochs": 2}, {199: 1, 200: 1, 400: 0.75}),
        ("exponential", {"warmup_epochs": 2, "gamma": 0.25}, {199: 1, 200: 1, 300: 0.25}),
        ("inverse", {"warmup_epochs": 2, "gamma": 0.01, "power": 2}, {200: 1, 300: 0.25}),
        # ... and epochs that are named stay where they are named.
        ("step", {"warmup_epochs": 2, "every_epochs": 5}, {499: 1, 500: 0.1}),
        ("step", {"warmup_epochs": 2, "every_steps": 300}, {299: 1, 300: 0.1}),
        ("multi_step", {"warmup_epochs": 2, "epochs": [5]}, {499: 1, 500: 0.1}),
        ("multi_step", {"warmup_epochs": 2, "steps": [300]}, {299: 1, 300: 0.1}),
        ("cosine", {"warmup_epochs": 20}, {0: 1 / 2000, 999: 0.5}),
        ("linear", {"warmup_epochs": 2}, {199: 1, 200: 1, 600: 0.5}),
        ("linear", {"warmup_epochs": 2, "epochs": 2}, {200: 1, 300: 0.5, 400: 0}),
        ("triangular", {"warmup_epochs": 2, "peak": 0.5}, {199: 1, 200: 0.04, 599: 1, 999: 0}),
        ("cosine_restarts", {"warmup_epochs": 2, "epochs": 4}, {199: 1, 200: 1, 400: 0.5, 600: 1}),
        ("plateau", {"warmup_epochs": 2}, {0: 0.005, 199: 1, 200: 1}),
    ],
)
def test_factor(name: str, settings: dict[str, object], expected: dict[int, float]) -> None:
    tested = schedule(name, **settings)
    assert {step: tested.factor(step) for step in expected} == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("multi_step", {}, "needs either epochs or steps"),
        ("multi_step", {"epochs": [1], "steps": [1]}, "needs either epochs or steps"),
        ("multi_step", {"epochs": [2, 2]}, "increasing order"),
        ("multi_step", {"steps": [0]}, "greater than or equal to 1"),
        ("step", {"every_epochs": 0}, "greater than 0"),
        ("step", {}, "needs either every_epochs or every_steps"),
        ("step", {"every_epochs": 1, "every_steps": 9}, "needs either every_epochs or every_steps"),
        ("step", {"every_steps": 0}, "greater than or equal to 1"),
        ("exponential", {"gamma": -0.5}, "greater than 0"),
        ("inverse", {"gamma": 1e-4}, "power"),
        ("cosine", {"final_factor": 1.5}, "less than or equal to 1"),
        ("linear", {"final_factor": -0.1}, "greater than or equal to 0"),
        ("linear", {"epochs": 0}, "greater than 0"),
        ("triangular", {"peak": 1.1}, "less than or equal to 1"),
        ("triangular", {"shape": "cos"}, "'linear' or 'cosine'"),
        ("cosine_restarts", {}, "needs either epochs or steps"),
        ("cosine_restarts", {"epochs": 1, "steps": 9}, "needs either epochs or steps"),
        ("linear", {"epochs": 1, "steps": 9}, "takes either epochs or steps"),
        ("linear", {"steps": 0}, "greater than or equal to 1"),
        ("exponential", {"gamma": 0.5, "per_steps": 0}, "greater than or equal to 1"),
        ("constant", {"warmup_epochs": 1, "warmup_steps": 9}, "takes either warmup_epochs or warmup_steps"),
        ("cosine_restarts", {"epochs": 1, "growth": 0.5}, "greater than or equal to 1"),
        ("cosine_restarts", {"epochs": 1, "growth": 1001}, "less than or equal to 1000"),
        ("plateau", {"gamma": 1.0}, "less than 1"),
        ("plateau", {"patience": 1.5}, "valid integer"),
        ("plateau", {"metric": "f1"}, "'loss' or 'accuracy'"),
        ("constant", {"warmup_epochs": -1}, "greater than or equal to 0"),
        ("constant", {"gamma": 1}, "gamma"),
    ],
)
def test_bad_settings(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        schedule(name, **settings)


NEEDED: dict[str, dict[str, object]] = {  # settings without defaults
    "step": {"every_epochs": 1},
    "multi_step": {"epochs": [1]},
    "exponential": {"gamma": 0.5},
    "inverse": {"gamma": 0.1, "power": 1},
    "cosine_restarts": {"epochs": 1e-9},  # no less than a step, all the same
}


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "plateau"])
def test_schedules_without_a_memory(name: str) -> None:
    tested = schedule(name, **NEEDED.get(name, {}))
    before = [tested.factor(step) for step in range(300)]
    tested.observe(Observed(1.0))
    assert tested.state() == {}
    tested.load_state({})
    assert [tested.factor(step) for step in range(300)] == before
    with pytest.raises(CheckpointError, match=f"the state does not fit the schedule {name}: best"):
        tested.load_state({"best": 1.0})


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_training_of_one_step(name: str) -> None:
    entry = SCHEDULES[name]
    tested = entry(entry.Settings.model_validate(NEEDED.get(name, {})), total_steps=1, steps_per_epoch=1)
    assert tested.factor(0) == 1.0


def test_restarts_that_grow_hardly_or_much() -> None:
    """No loop over the waves, and no overflow; each wave begins at 1 and is never left out."""
    for growth, count in ((1.0, 50), (1.0000001, 50), (1.001, 50), (1.37, 20), (2, 15), (3, 8), (10, 5), (1000, 3)):
        tested = schedule("cosine_restarts", epochs=1, growth=growth)
        begin = 0.0
        for wave in range(count):
            assert tested.factor(round(begin)) == 1.0, (growth, wave)
            assert wave == 0 or tested.factor(round(begin) - 1) < 0.01, (growth, wave)
            begin += 100 * growth**wave
        assert 0 <= tested.factor(10**9) <= 1
