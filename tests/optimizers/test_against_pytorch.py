"""Eight steps of every optimiser, in float64 and float32, against the values that PyTorch reached."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.golden import record_cases as records
from tests.golden import training_cases as training
from tests.golden.checks import load
from tests.optimizers.parameters import flat, optimizer, parameters, set_gradients

# float32: a few units in the last place of values around 1, after eight steps; Adadelta's first steps divide two roots
# of tiny numbers, and a centered mean square is a difference.
CLOSE: dict[str, Any] = {"float64": {"rtol": 1e-12, "atol": 1e-14}, "float32": {"rtol": 2e-6, "atol": 1e-6}}


@pytest.mark.parametrize("dtype", training.DTYPES)
@pytest.mark.parametrize("case", training.OPTIMIZERS)
def test_values_and_averages(case: str, dtype: str) -> None:
    expected = load("optimizers")[f"{case}/{dtype}"]
    name, settings, *_ = training.OPTIMIZERS[case]
    made = parameters(expected["start"], training.SHAPES)
    tested = optimizer(name, made, **({"learning_rate": 0.01} if name == "sgd" else {}) | settings)
    for step, factor in enumerate(training.RATES):
        set_gradients(made, expected["gradients"][step])
        tested.step(tested.settings.learning_rate * factor)
        np.testing.assert_allclose(flat(made), expected["values"][step], **CLOSE[dtype], err_msg=f"step {step}")
        np.testing.assert_array_equal(flat(made, "gradient"), expected["gradients"][step])
        if "ema" in settings:
            with tested.averaged():
                np.testing.assert_allclose(flat(made), expected["averages"][step], **CLOSE[dtype])
            np.testing.assert_allclose(flat(made), expected["values"][step], **CLOSE[dtype])
    assert flat(made).dtype == dtype


def test_every_optimizer_has_golden_values() -> None:
    from cnntrain.optimizers import OPTIMIZERS

    of_matrices = {"muon"} if records.MUON else set()  # tests/golden/test_records.py
    assert {name for name, *_ in training.OPTIMIZERS.values()} | of_matrices == set(OPTIMIZERS)


def test_the_cases_clip_some_steps_and_not_others() -> None:
    """Or they would not show what clipping does."""
    norms = np.linalg.norm(load("optimizers")["sgd, clip_norm/float64"]["gradients"], axis=1)
    limit = training.OPTIMIZERS["sgd, clip_norm"][1]["clip_norm"]
    assert (norms > limit).any()
    assert (norms < limit).any()
