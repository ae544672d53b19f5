"""Backward through dense layers with few images: as with whole blocks, bit for bit, and as the naive loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain.functional.arrays import enter, leave
from cnntrain.machine import FEW
from cnntrain.memory import line_aligned
from cnntrain.passes.dense import Dense
from cnntrain.shape import LANES
from tests import naive
from tests.functional.arrays import DTYPES, Array, normal, whole

SHAPES = [(64, 1), (65, 3), (130, 10), (400, 33), (63, 5)]  # inputs, units; the last has too few inputs


def backward(x: Array, weight: Array, delta: Array, images: int) -> tuple[Array, Array, Array]:
    """Return dL/dx as it lies in memory, dL/dW and dL/db."""
    inputs, units = weight.shape[1], weight.shape[0]
    passes = Dense(inputs, units, 1, x.dtype, few=images < LANES)
    way, number = (passes, 1) if passes.few is None else (passes.few, images)
    image, g = (enter(a.reshape(len(a), -1, 1, 1)).reshape(-1) for a in (x, delta))
    grad_input = line_aligned(inputs * LANES, x.dtype)
    grad_input[...] = np.nan
    grad_weight, grad_bias = (np.full(n, np.nan, x.dtype) for n in (weight.size, units))
    way.backward_weight(image, g, grad_weight, grad_bias, number)
    way.backward_input(g, weight.reshape(-1), grad_input, number)
    return grad_input, grad_weight.reshape(weight.shape), grad_bias


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("images", [1, 4, FEW])
@pytest.mark.parametrize(("inputs", "units"), SHAPES)
def test_has_the_bits_of_whole_blocks(inputs: int, units: int, images: int, dtype: Any) -> None:
    generator = np.random.default_rng(3)
    x, delta = (normal(generator, (images, n), dtype) for n in (inputs, units))
    weight = normal(generator, (units, inputs), dtype)
    for found, expected in zip(
        backward(x, weight, delta, images), backward(x, weight, delta, LANES), strict=True
    ):  # fmt: skip
        assert np.isfinite(expected).all()
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("images", [1, 5])
def test_equals_the_naive_loops(images: int) -> None:
    generator = np.random.default_rng(4)
    x, delta = whole(generator, (images, 70), np.float32), whole(generator, (images, 9), np.float32)
    weight = whole(generator, (9, 70), np.float32)
    grad_input, grad_weight, grad_bias = backward(x, weight, delta, images)
    expected = naive.dense_backward(delta, x, weight)
    np.testing.assert_array_equal(leave(grad_input, (images, 70, 1, 1))[:, :, 0, 0], expected[0])
    np.testing.assert_array_equal(grad_weight, expected[1])
    np.testing.assert_array_equal(grad_bias, expected[2])
    assert not grad_input.reshape(70, LANES)[:, images:].any()
