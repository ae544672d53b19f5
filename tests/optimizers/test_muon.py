"""`muon`: the filters against the definition in NumPy, the others against `sgd`, and what there is to get wrong."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from cnntrain.passes.newton_schulz import NewtonSchulz
from tests.optimizers.parameters import flat, optimizer, parameters, set_gradients

SHAPES = {"0.weight": (6, 2, 3, 3), "0.bias": (6,), "1.weight": (20, 3, 1, 2), "2.weight": (5, 7)}
SIZE = 6 * 18 + 6 + 20 * 6 + 35
RATES = [0.1, 0.1, 0.05, 0.2]


def numbers(seed: int, size: int = SIZE, dtype: Any = np.float64) -> NDArray[Any]:
    return np.random.default_rng(seed).standard_normal(size).astype(dtype)


def orthogonalised(matrix: NDArray[Any], steps: int) -> NDArray[Any]:
    """Singular values through the polynomial, one by one: no products of matrices as in the iteration."""
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    s = s / (np.sqrt((s**2).sum()) + 1e-7)
    for _ in range(steps):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return np.asarray((u * s) @ v)


@pytest.mark.parametrize("shape", [(6, 25), (40, 7), (1, 9), (9, 1), (16, 16), (17, 33)], ids=str)
def test_the_iteration_acts_on_singular_values(shape: tuple[int, int]) -> None:
    matrix = numbers(1, shape[0] * shape[1]).reshape(shape)
    for steps in (1, 3):
        found = NewtonSchulz(shape, np.dtype(np.float64), steps)(matrix)
        np.testing.assert_allclose(found, orthogonalised(matrix, steps), rtol=0, atol=1e-12)


def test_five_steps_bring_all_but_small_singular_values_near_one() -> None:
    found = NewtonSchulz((8, 60), np.dtype(np.float64))(numbers(2, 480).reshape(8, 60))
    singular = np.linalg.svd(found, compute_uv=False)
    assert 0.65 < singular.min() < singular.max() < 1.25


def test_a_matrix_of_zeros_stays_one() -> None:
    np.testing.assert_array_equal(NewtonSchulz((3, 5), np.dtype(np.float64))(np.zeros((3, 5))), np.zeros((3, 5)))


@pytest.mark.parametrize(
    "settings",
    [
        {"momentum": 0.6, "normalize": True, "steps": 3},
        {"nesterov": False, "weight_decay": 0.1, "l1_decay": 0.05},
        {"momentum": 0.0, "nesterov": False, "clip_value": 0.5},
    ],
    ids=str,
)
def test_filters_follow_the_definition(settings: dict[str, Any]) -> None:
    made = parameters(numbers(1), SHAPES, {"1.weight": (0.5, 2.0)})
    tested = optimizer("muon", made, learning_rate=0.1, **settings)
    momentum, limit = settings.get("momentum", 0.95), settings.get("clip_value", np.inf)
    values = {name: each.value.copy() for name, each in zip(SHAPES, made, strict=True) if each.value.ndim > 2}
    velocities = {name: np.zeros_like(value) for name, value in values.items()}
    for number, rate in enumerate(RATES):
        set_gradients(made, numbers(10 + number))
        for name, each in zip(SHAPES, made, strict=True):
            if name not in values:
                continue
            g = np.clip(each.gradient, -limit, limit)
            v = velocities[name] = momentum * velocities[name] + g
            direction = g + momentum * v if settings.get("nesterov", True) else v
            w = values[name]
            if settings.get("normalize"):
                w = w * np.sqrt(len(w)) / np.linalg.norm(w)
            factor, decay = (0.5, 2.0) if name == "1.weight" else (1.0, 1.0)
            pull = settings.get("weight_decay", 0.0) * decay * w + settings.get("l1_decay", 0.0) * decay * np.sign(w)
            moved = orthogonalised(direction.reshape(len(w), -1), settings.get("steps", 5)).reshape(w.shape)
            values[name] = w - rate * factor * (pull + moved)
        tested.step(rate)
    for name, each in zip(SHAPES, made, strict=True):
        if name in values:
            np.testing.assert_allclose(each.value, values[name], rtol=0, atol=1e-12, err_msg=name)


def test_the_others_are_gradient_descent_with_settings_of_their_own() -> None:
    own = {"learning_rate": 0.3, "momentum": 0.85, "weight_decay": 0.02}
    made = parameters(numbers(1), SHAPES, {"0.bias": (3.0, 0.5)})
    tested = optimizer("muon", made, learning_rate=0.1, weight_decay=0.4, others=own)
    alone = parameters(numbers(1), SHAPES, {"0.bias": (3.0, 0.5)})
    sgd = optimizer("sgd", alone, nesterov=True, **own)
    for number, factor in enumerate([1.0, 0.5, 0.25]):
        for each in (made, alone):
            set_gradients(each, numbers(20 + number))
        tested.step(0.1 * factor)
        sgd.step(0.3 * factor)
    for index in (1, 3):
        np.testing.assert_allclose(made[index].value, alone[index].value, rtol=1e-12)
    assert tested.rate_of(made[1], 0.1, 1) == pytest.approx(0.9)
    assert tested.rate_of(made[0], 0.1, 1) == pytest.approx(0.1)


def test_the_scale_of_a_gradient_does_not_count() -> None:
    results = []
    for scale in (1.0, 1e20):
        made = parameters(numbers(1, dtype=np.float32), SHAPES)
        tested = optimizer("muon", made)
        set_gradients(made, numbers(2, dtype=np.float32) * np.float32(scale))
        tested.step(0.1)
        results.append(made[0].value)
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)


def test_a_layers_filters_are_scaled_to_a_norm_before_the_step() -> None:
    made = parameters(numbers(1), SHAPES)
    tested = optimizer("muon", made, normalize=True, momentum=0.0, nesterov=False)
    tested.step(0.0)  # no gradient, no rate
    assert np.linalg.norm(made[0].value) == pytest.approx(np.sqrt(6))
    assert np.linalg.norm(made[2].value) == pytest.approx(np.sqrt(20))
    np.testing.assert_array_equal(flat(made)[-35:], numbers(1)[-35:])
    made[0].value[...] = 0
    tested.step(0.0)
    assert not made[0].value.any()


def test_the_bits_of_a_large_matrix_do_not_depend_on_threads() -> None:
    matrix, most, results = numbers(3, 48 * 700, np.float32).reshape(48, 700), numba.get_num_threads(), []
    for threads in (1, most):
        numba.set_num_threads(threads)
        results.append(NewtonSchulz(matrix.shape, np.dtype(np.float32), 2)(matrix))
    numba.set_num_threads(most)
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("settings", [{"momentum": 0.0}, {"others": {"momentum": 0.0}}])
def test_nesterov_needs_a_momentum(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="needs a momentum greater than 0 when nesterov is true"):
        optimizer("muon", parameters(numbers(1), SHAPES), **settings)
