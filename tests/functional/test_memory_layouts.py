"""Input arrays may lie in memory in any way: the result is that of a contiguous copy, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnntrain import functional
from tests.functional.arrays import DTYPES, Array, normal


def fortran(a: Array) -> Array:
    return np.asfortranarray(a)


def reversed_axes(a: Array) -> Array:
    """A view with negative strides along every axis."""
    return np.ascontiguousarray(a[(slice(None, None, -1),) * a.ndim])[(slice(None, None, -1),) * a.ndim]


def every_second(a: Array) -> Array:
    """A view into a larger array with other numbers in between."""
    larger = np.full([2 * n for n in a.shape], np.nan if a.dtype.kind == "f" else 10**6, a.dtype)
    view = larger[(slice(1, None, 2),) * a.ndim]
    view[...] = a
    return view


def channels_last(a: Array) -> Array:
    """As images come from a decoder: memory in the order N, H, W, C."""
    order = (0, *range(2, a.ndim), 1) if a.ndim > 1 else (0,)
    return np.ascontiguousarray(a.transpose(order)).transpose(np.argsort(order))


def unaligned(a: Array) -> Array:
    """Begins one byte behind an aligned address."""
    memory = np.empty(a.nbytes + 1, np.uint8)
    view = memory[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def read_only(a: Array) -> Array:
    copy = a.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS = [fortran, reversed_axes, every_second, channels_last, unaligned, read_only]


def same_results(function: Callable[..., Any], arrays: list[Array], layout: Callable[[Array], Array]) -> None:
    expected = function(*arrays)
    placed = [layout(a) for a in arrays]
    for original, copy in zip(arrays, placed, strict=True):
        np.testing.assert_array_equal(original, copy)
    results = function(*placed)
    for actual, wanted in zip(results, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)
        if isinstance(actual, np.ndarray):
            assert actual.dtype == wanted.dtype


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
class TestAnyLayout:
    def test_conv2d(self, layout: Callable[[Array], Array], dtype: Any) -> None:
        generator = np.random.default_rng(71)
        shapes = [(17, 5, 5, 6), (6, 5, 3, 3), (6,)]
        arrays = [normal(generator, shape, dtype) for shape in shapes]
        same_results(lambda *a: [functional.conv2d(*a, padding=1)], arrays, layout)

    def test_conv2d_backward(self, layout: Callable[[Array], Array], dtype: Any) -> None:
        generator = np.random.default_rng(72)
        shapes = [(17, 6, 3, 4), (17, 5, 5, 6), (6, 5, 3, 3)]
        same_results(functional.conv2d_backward, [normal(generator, shape, dtype) for shape in shapes], layout)

    def test_dense(self, layout: Callable[[Array], Array], dtype: Any) -> None:
        generator = np.random.default_rng(73)
        shapes = [(17, 7), (5, 7), (5,)]
        arrays = [normal(generator, shape, dtype) for shape in shapes]
        same_results(lambda *a: [functional.dense(*a)], arrays, layout)

    def test_dense_backward(self, layout: Callable[[Array], Array], dtype: Any) -> None:
        generator = np.random.default_rng(74)
        shapes = [(17, 5), (17, 7), (5, 7)]
        same_results(functional.dense_backward, [normal(generator, shape, dtype) for shape in shapes], layout)

    def test_max_pool2d(self, layout: Callable[[Array], Array], dtype: Any) -> None:
        x = normal(np.random.default_rng(75), (17, 3, 5, 6), dtype)
        same_results(lambda a: functional.max_pool2d(a, 3, stride=2), [x], layout)

    def test_max_pool2d_backward(self, layout: Callable[[Array], Array], dtype: Any) -> None:
        generator = np.random.default_rng(76)
        x = normal(generator, (17, 3, 5, 6), dtype)
        y, mask = functional.max_pool2d(x, 3, stride=2)
        arrays = [normal(generator, y.shape, dtype), mask]
        same_results(lambda g, m: [functional.max_pool2d_backward(g, m, x.shape, 3, stride=2)], arrays, layout)

    @pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
    def test_activations(self, name: str, layout: Callable[[Array], Array], dtype: Any) -> None:
        generator = np.random.default_rng(77)
        x, grad_output = (normal(generator, (3, 4, 5, 6), dtype) for _ in range(2))
        same_results(lambda a: [getattr(functional, name)(a)], [x], layout)
        same_results(lambda g, y: [getattr(functional, f"{name}_backward")(g, y)], [grad_output, x], layout)

    def test_losses(self, layout: Callable[[Array], Array], dtype: Any) -> None:
        generator = np.random.default_rng(78)
        outputs, targets = (normal(generator, (17, 5), dtype) for _ in range(2))
        labels = generator.integers(0, 5, 17)
        same_results(functional.cross_entropy, [outputs, labels], layout)
        same_results(functional.mse, [outputs, labels], layout)
        same_results(functional.mse, [outputs, targets], layout)


def test_a_broadcast_array_is_an_array() -> None:
    """Strides of zero: the gradient of a mean, as `np.broadcast_to` makes it."""
    generator = np.random.default_rng(79)
    x, weight = normal(generator, (17, 5, 5, 6), np.float32), normal(generator, (6, 5, 3, 3), np.float32)
    flat = np.broadcast_to(np.float32(0.25), (17, 6, 3, 4))
    expected = functional.conv2d_backward(flat.copy(), x, weight)
    for actual, wanted in zip(functional.conv2d_backward(flat, x, weight), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)
