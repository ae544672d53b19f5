"""Max-pooling on plain arrays: values, masks and routed gradients against the naive loops; ties, NaN, infinities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnntrain import functional
from tests import naive
from tests.functional.arrays import DTYPES, Array, assert_same, whole

# Small windows have compiled code of their own, for each size and type; in float64 these sizes are tried, one large.
SIZES_DOUBLE = [(2, 2), (3, 3), (2, 3), (5, 4)]
SIZES = [*SIZES_DOUBLE, (1, 1), (1, 4), (3, 5), (4, 3)]

GRID: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    *[((n, 2, 4, 6), {"kernel_size": 2}) for n in (1, 15, 16, 17, 33)],
    *[((2, channels, 5, 4), {"kernel_size": 2, "stride": 1}) for channels in (1, 3, 16, 17)],
    ((2, 2, 5, 7), {"kernel_size": 2}),  # the last row and column are in no window
    ((2, 2, 3, 3), {"kernel_size": 3}),
    ((2, 2, 1, 1), {"kernel_size": 1}),
    ((2, 2, 7, 9), {"kernel_size": 3, "stride": 2}),
    ((2, 2, 7, 9), {"kernel_size": (2, 3), "stride": (1, 2)}),
    ((2, 2, 6, 5), {"kernel_size": (1, 4), "stride": 1}),
    ((2, 2, 7, 7), {"kernel_size": 2, "stride": 3}),  # pixels between the windows
    ((2, 2, 6, 7), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((2, 2, 6, 7), {"kernel_size": (3, 5), "stride": 1, "padding": (1, 2)}),
    ((2, 2, 32, 5), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),  # Caffe's 32 -> 16
    ((2, 2, 8, 7), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
    ((2, 2, 6, 6), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ((2, 2, 5, 5), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True}),  # one window is dropped
    ((2, 2, 8, 9), {"kernel_size": 2, "stride": 3, "ceil_mode": True}),
]


def backward(grad_output: Array, mask: Array, shape: tuple[int, ...], pooling: dict[str, Any]) -> Array:
    arguments = {name: value for name, value in pooling.items() if name != "ceil_mode"}
    result: Array = functional.max_pool2d_backward(grad_output, mask, shape, **arguments)
    return result


def check(x: Array, pooling: dict[str, Any], generator: np.random.Generator) -> None:
    """Compare with the naive loops, exactly: pooling computes nothing, and the gradients are whole numbers."""
    y, mask = functional.max_pool2d(x, **pooling)
    expected_y, expected_mask = naive.max_pool2d(x, **pooling)
    assert_same(y, expected_y, x.dtype)
    assert_same(mask, expected_mask, np.int64)
    grad_output = whole(generator, y.shape, x.dtype)
    grad_input = backward(grad_output, mask, x.shape, pooling)
    assert_same(grad_input, naive.max_pool2d_backward(grad_output, mask, x.shape), x.dtype)


def sizes(dtype: Any) -> list[tuple[int, int]]:
    """The sizes of windows that are tried in a type."""
    return SIZES_DOUBLE if dtype == np.float64 else SIZES


EVERY_POOLING = [
    (shape, pooling, dtype)
    for dtype in DTYPES
    for shape, pooling in GRID
    if tuple(np.broadcast_to(pooling["kernel_size"], 2).tolist()) in sizes(dtype)
]


@pytest.mark.parametrize(("shape", "pooling", "dtype"), EVERY_POOLING, ids=str)
def test_values_masks_and_gradients(shape: tuple[int, ...], pooling: dict[str, Any], dtype: Any) -> None:
    """Values from -3 to 3: most windows have ties."""
    generator = np.random.default_rng(31)
    check(whole(generator, shape, dtype, largest=3), pooling, generator)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_negative_images_beat_the_padding(dtype: Any) -> None:
    """The padding is no zero here: it never wins."""
    generator = np.random.default_rng(32)
    x = whole(generator, (3, 2, 5, 5), dtype) - 10
    check(x, {"kernel_size": 3, "stride": 2, "padding": 1}, generator)


@st.composite
def poolings(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any], np.dtype]:
    dtype = draw(st.sampled_from(DTYPES))
    pair = st.tuples(st.integers(1, 4), st.integers(1, 4))
    shape = (draw(st.integers(1, 34)), draw(st.integers(1, 4)), draw(st.integers(1, 8)), draw(st.integers(1, 8)))
    kernel_size = draw(st.sampled_from(sizes(dtype)))
    padding = tuple(draw(st.integers(0, size // 2)) for size in kernel_size)
    assume(all(n + 2 * p >= k for n, p, k in zip(shape[2:], padding, kernel_size, strict=True)))
    pooling = {"kernel_size": kernel_size, "padding": padding, "ceil_mode": draw(st.booleans())}
    return shape, {**pooling, "stride": draw(pair | st.none())}, dtype


@settings(max_examples=100)
@given(poolings(), st.integers(0, 2**32 - 1))
def test_any_pooling_equals_the_naive_loops(drawn: tuple[tuple[int, ...], dict[str, Any], np.dtype], seed: int) -> None:
    shape, pooling, dtype = drawn
    generator = np.random.default_rng(seed)
    check(whole(generator, shape, dtype), pooling, generator)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("place", range(9))
def test_nan_wins_wherever_it_is_in_the_window(place: int, dtype: Any) -> None:
    x = np.arange(18, dtype=dtype).reshape(2, 1, 3, 3)
    x[1, 0].flat[place] = np.nan
    y, mask = functional.max_pool2d(x, 3)
    np.testing.assert_array_equal(y.ravel(), [8, np.nan])
    np.testing.assert_array_equal(mask.ravel(), [8, place])
    grad_input = functional.max_pool2d_backward(np.full_like(y, 5), mask, x.shape, 3)
    expected = np.zeros(18, dtype)
    expected[[8, 9 + place]] = 5
    np.testing.assert_array_equal(grad_input.ravel(), expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_of_several_nans_the_first_is_the_mask(dtype: Any) -> None:
    """Ties: the first, as everywhere."""
    x = np.array([[1, np.nan, np.inf], [np.nan, 2, 3]], dtype).reshape(1, 1, 2, 3)
    y, mask = functional.max_pool2d(x, (2, 3))
    assert np.isnan(y).all()
    assert mask.ravel().tolist() == [1]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_nan_in_one_image_or_channel_leaves_the_others_alone(dtype: Any) -> None:
    generator = np.random.default_rng(33)
    x = whole(generator, (18, 3, 4, 4), dtype)
    clean, clean_mask = functional.max_pool2d(x, 2)
    x[5, 1, 2, 3] = np.nan
    y, mask = functional.max_pool2d(x, 2)
    touched = np.zeros(y.shape, bool)
    touched[5, 1, 1, 1] = True
    np.testing.assert_array_equal(np.isnan(y), touched)
    np.testing.assert_array_equal(y[~touched], clean[~touched])
    np.testing.assert_array_equal(mask[~touched], clean_mask[~touched])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_infinities(dtype: Any) -> None:
    """A window full of -inf has a winner too: its first pixel, not one outside the image."""
    x = np.full((1, 1, 4, 4), -np.inf, dtype)
    x[0, 0, 3, 3], x[0, 0, 2, 3] = np.inf, np.finfo(dtype).max
    y, mask = functional.max_pool2d(x, 2, padding=1)
    np.testing.assert_array_equal(
        y[0, 0], [[-np.inf] * 3, [-np.inf, -np.inf, np.finfo(dtype).max], [-np.inf, -np.inf, np.inf]]
    )
    np.testing.assert_array_equal(mask[0, 0], [[0, 1, 3], [4, 5, 11], [12, 13, 15]])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_minus_zero_and_zero_are_equal(dtype: Any) -> None:
    for values in ([-0.0, 0.0, 0.0, -0.0], [0.0, -0.0, -0.0, 0.0]):
        _, mask = functional.max_pool2d(np.array(values, dtype).reshape(1, 1, 2, 2), 2)
        assert mask.ravel().tolist() == [0]


def test_a_window_of_thirty_thousand_pixels() -> None:
    """The mask is kept as 16 bits inside: the last position that they can number is still right."""
    x = np.zeros((1, 1, 200, 170), np.float32)
    x[0, 0, 180, 165] = 1
    y, mask = functional.max_pool2d(x, (192, 170))
    assert (y.item(), mask.item()) == (1, 180 * 170 + 165)
