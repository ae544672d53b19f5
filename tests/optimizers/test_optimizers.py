"""What all optimisers share: chunks, factors, clipping, averages, state, and settings that make no sense."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numba
import numpy as np
import pytest
from pydantic import ValidationError

from cnntrain.errors import CheckpointError
from cnntrain.optimizers import OPTIMIZERS
from cnntrain.optimizers.base import CHUNK
from tests.optimizers.parameters import flat, optimizer, parameters, set_gradients

SHAPES = {"0.weight": (3, 5, 700), "0.bias": (7,)}  # more than two chunks, and a rest of no multiple of four
SIZE = 3 * 5 * 700 + 7
RATE = 0.01
ALL = {
    "sgd": {"momentum": 0.9, "weight_decay": 0.01},
    "adam": {"weight_decay": 0.01},
    "adamw": {},
    "rmsprop": {"momentum": 0.9, "centered": True},
    "adagrad": {"learning_rate_decay": 0.1, "initial_sum": 0.25},
    "adadelta": {},
    "muon": {},
}
EXTRA = {"clip_norm": 3.0, "l1_decay": 1e-3, "ema": 0.9}


def numbers(seed: int, size: int = SIZE, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(size).astype(dtype)


def ready(name: str, **settings: Any) -> tuple[list, Any]:
    made = parameters(numbers(1), SHAPES)
    return made, optimizer(name, made, learning_rate=RATE, **settings)


def test_registry_names_are_the_classes_names() -> None:
    assert list(OPTIMIZERS) == list(ALL)
    assert all(entry.name == name for name, entry in OPTIMIZERS.items())


@pytest.mark.parametrize("name", ALL)
def test_a_state_goes_on_to_the_same_bits(name: str) -> None:
    made, straight = ready(name, **ALL[name], **EXTRA)
    for step in range(6):
        if step == 3:
            kept, values = straight.state(), flat(made)
        set_gradients(made, numbers(10 + step))
        straight.step(RATE)
    again = parameters(values, SHAPES)
    resumed = optimizer(name, again, learning_rate=RATE, **ALL[name], **EXTRA)
    resumed.load_state(kept)
    for step in range(3, 6):
        set_gradients(again, numbers(10 + step))
        resumed.step(RATE)
    np.testing.assert_array_equal(flat(again), flat(made))
    ends = straight.state(), resumed.state()
    assert ends[0].keys() == ends[1].keys()
    for key, value in ends[0].items():
        np.testing.assert_array_equal(value, ends[1][key])


@pytest.mark.parametrize("name", ALL)
def test_any_number_of_threads_gives_the_same_bits(name: str) -> None:
    results, most = [], numba.get_num_threads()
    for threads in (1, most):
        numba.set_num_threads(threads)
        made, tested = ready(name, **ALL[name], **EXTRA)
        for step in range(3):
            set_gradients(made, numbers(20 + step))
            tested.step(RATE)
        results.append(flat(made))
    numba.set_num_threads(most)
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("name", ALL)
def test_warming_up_changes_nothing(name: str) -> None:
    made, tested = ready(name, **ALL[name], **EXTRA)
    before, state = flat(made), tested.state()
    tested.warm_up()
    np.testing.assert_array_equal(flat(made), before)
    assert all((value == state[key]).all() for key, value in tested.state().items())


@pytest.mark.parametrize("name", ALL)
def test_nan_and_infinity_stay_visible(name: str) -> None:
    for extra, bad in itertools.product(({}, {"clip_norm": 1.0}, {"clip_value": 1.0}), (np.nan, np.inf)):
        made, tested = ready(name, **ALL[name], **extra)
        gradients = numbers(3)
        gradients[5000] = bad
        set_gradients(made, gradients)
        tested.step(RATE)
        clipped = "clip_value" in extra and bad == np.inf
        # Adam and its relatives divide inf by inf; Adagrad likewise. A value clip makes infinity an ordinary number.
        assert np.isfinite(flat(made)[5000]) == clipped, (extra, bad)


@pytest.mark.parametrize("name", ALL)
def test_factors_of_a_parameter(name: str) -> None:
    """A factor on the learning rate is a learning rate of its own, one on the decay a decay of its own."""
    settings: dict[str, Any] = {**ALL[name], "weight_decay": 0.1, "l1_decay": 0.05}
    made = parameters(numbers(1), SHAPES, {"0.weight": (0.5, 3.0), "0.bias": (2.0, 0.0)})
    tested = optimizer(name, made, learning_rate=RATE, **settings)
    set_gradients(made, numbers(2))
    for _ in range(3):
        tested.step(RATE)
    for index, (rate, decay) in enumerate([(0.5, 3.0), (2.0, 0.0)]):
        alone = parameters(numbers(1), SHAPES)
        own: dict[str, Any] = {**settings, "weight_decay": 0.1 * decay, "l1_decay": 0.05 * decay}
        other = optimizer(name, alone, learning_rate=RATE * rate, **own)
        set_gradients(alone, numbers(2))
        for _ in range(3):
            other.step(RATE * rate)
        np.testing.assert_allclose(made[index].value, alone[index].value, rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_a_frozen_parameter_is_left_alone(name: str) -> None:
    """It has no state, no part in the gradients' norm, and not even a NaN in its gradient reaches it."""
    made = parameters(numbers(1), SHAPES, {"0.weight": (0.0, 1.0)})
    tested = optimizer(name, made, learning_rate=RATE, **ALL[name], **EXTRA)
    gradients = numbers(2)
    gradients[0] = np.nan
    set_gradients(made, gradients)
    tested.step(RATE)
    np.testing.assert_array_equal(made[0].value, numbers(1)[:-7].reshape(made[0].value.shape))
    assert (made[1].value != numbers(1)[-7:]).all()
    assert np.isfinite(made[1].value).all()
    assert tested.gradient_norm() == pytest.approx(np.linalg.norm(gradients[-7:].astype(np.float64)), rel=1e-12)
    assert not [key for key in tested.state() if key.endswith("0.weight")]
    with tested.averaged():
        np.testing.assert_array_equal(made[0].value, numbers(1)[:-7].reshape(made[0].value.shape))


def test_all_parameters_frozen() -> None:
    made = parameters(numbers(1), SHAPES, dict.fromkeys(SHAPES, (0.0, 1.0)))
    tested = optimizer("adam", made, clip_norm=1.0, ema=0.5)
    tested.warm_up()
    tested.step(RATE)
    np.testing.assert_array_equal(flat(made), numbers(1))
    assert tested.gradient_norm() == 0.0
    assert list(tested.state()) == ["steps"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_norm_of_all_gradients(dtype: Any) -> None:
    """In float64: small numbers beside large ones count, and squares of large ones do not overflow."""
    made = parameters(numbers(1, dtype=dtype), SHAPES)
    tested = optimizer("sgd", made, learning_rate=RATE)
    gradients = numbers(4, dtype=dtype) * dtype(1e30)
    set_gradients(made, gradients)
    assert tested.gradient_norm() == pytest.approx(math.sqrt((gradients.astype(np.float64) ** 2).sum()), rel=1e-13)
    few = np.ones(SIZE, dtype)
    few[0] = 1e5
    set_gradients(made, few)
    assert tested.gradient_norm() == pytest.approx(math.sqrt(1e10 + SIZE - 1), rel=1e-14)


@pytest.mark.parametrize("size", [1, 3, 4, CHUNK, CHUNK + 1])
def test_the_norm_of_any_number_of_elements(size: int) -> None:
    made = parameters(np.zeros(size, np.float32), {"a": (size,)})
    set_gradients(made, np.full(size, 0.5, np.float32))
    assert optimizer("sgd", made, learning_rate=RATE).gradient_norm() == math.sqrt(size) / 2


def test_a_gradient_below_the_norm_is_not_touched() -> None:
    for settings in ({"clip_norm": 1e9}, {"clip_value": 1e9}):
        made, plain = ready("sgd")
        other, clipping = ready("sgd", **settings)
        for parameters_, stepper in ((made, plain), (other, clipping)):
            set_gradients(parameters_, numbers(5))
            stepper.step(RATE)
        np.testing.assert_array_equal(flat(made), flat(other))


def test_averages_before_the_first_step_are_the_weights() -> None:
    made, tested = ready("sgd", ema=0.9)
    with tested.averaged():
        np.testing.assert_array_equal(flat(made), numbers(1))
    np.testing.assert_array_equal(flat(made), numbers(1))


def test_without_ema_the_averages_are_the_weights() -> None:
    made, tested = ready("sgd")
    tested.step(RATE)
    before = flat(made)
    with tested.averaged():
        np.testing.assert_array_equal(flat(made), before)


def test_an_error_under_averages_brings_the_weights_back() -> None:
    made, tested = ready("sgd", ema=0.9)
    for step in range(3):
        set_gradients(made, numbers(30 + step))
        tested.step(RATE)
    before, state = flat(made), tested.state()

    def interrupted() -> None:
        with tested.averaged():
            assert (flat(made) != before).any()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    np.testing.assert_array_equal(flat(made), before)
    assert all((value == state[key]).all() for key, value in tested.state().items())


def test_only_wanted_slots_are_kept() -> None:
    def slots(name: str, **settings: Any) -> set[str]:
        return {key.split("/")[0] for key in ready(name, **settings)[1].state()} - {"steps"}

    assert slots("sgd", ema=0.5) == {"velocity", "average"}
    assert slots("adam") == {"mean", "square"}
    assert slots("rmsprop") == {"square"}
    assert slots("rmsprop", centered=True) == {"square", "mean"}
    assert slots("rmsprop", momentum=0.1) == {"square", "velocity"}
    assert slots("adagrad") == {"sum"}
    assert slots("adadelta") == {"square", "delta"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": np.array([-1])}, "steps must be one whole number, 0 or more; received"),
        ({"steps": np.array([2**62])}, "steps must be one whole number"),
        ({"steps": np.array([1.5])}, "steps must be one whole number"),
        ({"steps": np.array([1, 2])}, "steps must be one whole number"),
        ({"mean/0.bias": np.zeros(8)}, r"mean/0.bias must have shape \(7,\); received \(8,\)"),
        ({"mean/1.bias": np.zeros(7)}, "tensors do not fit: mean/1.bias"),
        ({"steps": None}, "tensors do not fit: steps"),
    ],
)
def test_a_state_that_does_not_fit(change: dict[str, Any], message: str) -> None:
    tested = ready("adam")[1]
    state = {key: value for key, value in (tested.state() | change).items() if value is not None}
    with pytest.raises(CheckpointError, match=message):
        tested.load_state(state)
    assert all((value == 0).all() for value in tested.state().values())  # nothing was taken over in part


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("sgd", {}, "learning_rate"),
        ("sgd", {"learning_rate": 0}, "greater than 0"),
        ("sgd", {"learning_rate": 0.1, "nesterov": True}, "needs a momentum greater than 0"),
        ("adam", {"clip_norm": 1.0, "clip_value": 1.0}, "either clip_norm or clip_value, not both"),
        ("adam", {"clip_norm": 0}, "greater than 0"),
        ("adam", {"clip_value": -1}, "greater than 0"),
        ("adam", {"ema": 1.0}, "less than 1"),
        ("adam", {"ema": 0}, "greater than 0"),
        ("adam", {"betas": [0.9]}, "Field required"),
        ("adam", {"betas": [0.9, 1.0]}, "less than 1"),
        ("adam", {"betas": ["0.9", 0.99]}, "valid number"),
        ("adam", {"betas": 0.9}, "valid tuple"),
        ("adam", {"eps": 0}, "greater than or equal to 0.0000"),
        ("adam", {"eps": 1e-60}, "greater than or equal to 0.0000"),
        ("adam", {"form": "caffe"}, "'pytorch' or 'keras'"),
        ("adamw", {"l1_decay": -1e-3}, "greater than or equal to 0"),
        ("rmsprop", {"alpha": 1}, "less than 1"),
        ("rmsprop", {"momentum": -0.1}, "greater than or equal to 0"),
        ("adagrad", {"learning_rate_decay": -1}, "greater than or equal to 0"),
        ("adagrad", {"initial_sum": -1}, "greater than or equal to 0"),
        ("adadelta", {"rho": float("nan")}, "finite"),
        ("adadelta", {"momentum": 0.9}, "momentum"),
    ],
)
def test_bad_settings(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OPTIMIZERS[name].Settings.model_validate(settings)


@pytest.mark.parametrize("name", ALL)
def test_settings_beyond_float32_become_infinite_without_a_warning(name: str) -> None:
    """Which training then reports as what it is; a warning of NumPy would say nothing."""
    for settings in ({"weight_decay": 1e300}, {"l1_decay": 1e300}, {"clip_value": 1e300}, {"clip_norm": 1e300}):
        made, tested = ready(name, **(ALL[name] | settings))
        set_gradients(made, numbers(2))
        tested.step(1e300)


@pytest.mark.parametrize("name", ALL)
def test_no_gradient_no_step(name: str) -> None:
    """0 / (0 + eps) is 0, in float32 too, for the least eps allowed."""
    settings = {} if name in ("sgd", "muon") else {"eps": 1e-30}
    made, tested = ready(name, **({"weight_decay": 0.0} | settings))
    tested.step(RATE)
    np.testing.assert_array_equal(flat(made), numbers(1))
