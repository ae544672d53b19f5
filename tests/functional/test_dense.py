"""The fully connected layer on plain arrays against the naive loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnntrain import functional
from tests import naive
from tests.functional.arrays import DTYPES, assert_same, assert_sum_close, normal, whole


def check(images: int, inputs: int, units: int, dtype: Any, generator: np.random.Generator) -> None:
    x, weight = whole(generator, (images, inputs), dtype), whole(generator, (units, inputs), dtype)
    bias, grad_output = whole(generator, (units,), dtype), whole(generator, (images, units), dtype)
    assert_same(functional.dense(x, weight, bias), naive.dense(x, weight, bias), dtype)
    assert_same(functional.dense(x, weight), naive.dense(x, weight), dtype)
    gradients = functional.dense_backward(grad_output, x, weight)
    for actual, expected in zip(gradients, naive.dense_backward(grad_output, x, weight), strict=True):
        assert_same(actual, expected, dtype)


# One and two units are cut into tiles of their own: compiled forms that one type is enough for.
FEW = [(1, 1), (3, 2)]
MANY = [(5, 16), (16, 5), (17, 7), (40, 10), (84, 33)]
EVERY_LAYER = [(*shape, dtype) for dtype in DTYPES for shape in (MANY if dtype == np.float64 else [*FEW, *MANY])]


@pytest.mark.parametrize("images", [1, 2, 15, 16, 17, 33])
@pytest.mark.parametrize(("inputs", "units", "dtype"), EVERY_LAYER, ids=str)
def test_forward_and_backward_equal_the_naive_loops(images: int, inputs: int, units: int, dtype: Any) -> None:
    check(images, inputs, units, dtype, np.random.default_rng(41))


@st.composite
def layers(draw: st.DrawFn) -> tuple[int, int, np.dtype]:
    """Inputs, units and type."""
    dtype = draw(st.sampled_from(DTYPES))
    least = 3 if dtype == np.float64 else 1
    return draw(st.integers(least, 70)), draw(st.integers(least, 35)), dtype


@settings(max_examples=60)
@given(st.integers(1, 33), layers(), st.integers(0, 2**32 - 1))
def test_any_dense_layer_equals_the_naive_loops(images: int, layer: tuple[int, int, np.dtype], seed: int) -> None:
    check(images, *layer, np.random.default_rng(seed))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rounding_errors_stay_within_those_of_a_sum(dtype: Any) -> None:
    """The first dense layer of Caffe's LeNet, 800 inputs and 500 units."""
    generator = np.random.default_rng(42)
    x, weight = normal(generator, (33, 800), dtype), normal(generator, (500, 800), dtype)
    grad_output = normal(generator, (33, 500), dtype)
    y, magnitude = naive.dense(x, weight), naive.dense(abs(x), abs(weight))
    assert_sum_close(functional.dense(x, weight), y, magnitude, 800, dtype)
    gradients = functional.dense_backward(grad_output, x, weight)
    expected = naive.dense_backward(grad_output, x, weight)
    magnitudes = naive.dense_backward(abs(grad_output), abs(x), abs(weight))
    for parts in zip(gradients, expected, magnitudes, (500, 33, 33), strict=True):
        assert_sum_close(*parts, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_an_image_does_not_feel_its_neighbours(dtype: Any) -> None:
    generator = np.random.default_rng(43)
    x, weight = normal(generator, (19, 37), dtype), normal(generator, (11, 37), dtype)
    together = functional.dense(x, weight)
    for n in range(len(x)):
        np.testing.assert_array_equal(functional.dense(x[n : n + 1], weight), together[n : n + 1])
