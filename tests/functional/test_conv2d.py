"""Convolution on plain arrays against the naive loops: a grid of shapes and settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain import functional
from tests import naive
from tests.functional.arrays import DTYPES, Array, Case, assert_same, assert_sum_close, normal, whole

# Types, heights of tiles and lengths of short runs are compiled in, and each form of a kernel costs seconds; all other
# numbers are free. So most cases have 5 channels and 3 or 6 filters of 3 columns, which share their forms. Every height
# and length and each way to the weights is seen in float32; in float64 (GRID_DOUBLE) all heights and some lengths.

# Batches around the 16 lanes of a block; sizes are odd and rectangular on purpose.
BATCHES = [Case(n, 5, (5, 7), 6, (3, 3), padding=1) for n in (1, 2, 15, 16, 17, 31, 32, 33)]

# Filter counts around every possible register tile and around the 16 lanes (one, some, exactly full, one more).
# On the way back channels are the filters.
FILTERS, FILTERS_SINGLE = (
    [Case(3, 5, (4, 7), filters, (2, 3), dilation=(1, 2)) for filters in numbers]
    for numbers in ((1, 3, 5, 6, 9, 11, 13, 17, 25, 33), (2, 4, 7, 8, 12, 16))
)
CHANNELS, CHANNELS_SINGLE = (
    [Case(3, channels, (4, 5), 5, (2, 3), padding=1) for channels in numbers]
    for numbers in ((3, 4, 5, 7, 8, 17), (1, 2, 15, 16, 33))
)

SETTINGS = [
    Case(2, 3, (7, 5), 4, (7, 5)),  # the filter covers the image: one output
    Case(2, 15, (6, 1), 3, (3, 1)),
    Case(2, 5, (1, 6), 3, (1, 3)),
    Case(2, 3, (7, 9), 4, (3, 5), padding=(1, 2)),
    Case(2, 5, (5, 5), 3, (3, 3), padding=2),  # the padding of the full convolution
    Case(2, 5, (6, 7), 3, (3, 3), padding="same"),
    Case(2, 5, (6, 7), 3, (4, 3), padding="same", dilation=(1, 2)),
    Case(2, 5, (7, 8), 3, (3, 3), stride=2),
    Case(2, 5, (8, 7), 3, (3, 3), stride=2, padding=1),
    Case(2, 6, (9, 11), 5, (3, 2), stride=(1, 3), padding=(0, 1)),
    Case(2, 5, (9, 11), 3, (2, 3), stride=(4, 2), padding=1),
    Case(2, 3, (7, 7), 4, (1, 1), stride=2),  # a stride larger than the filter: pixels that nobody reads
    Case(2, 6, (11, 10), 5, (2, 2), stride=3, padding=1),
    Case(2, 5, (7, 8), 3, (3, 3), dilation=2),
    Case(2, 5, (9, 9), 3, (3, 2), dilation=(1, 3), padding=2),
    Case(2, 5, (9, 10), 3, (3, 3), stride=2, dilation=2, padding=3),
    Case(2, 5, (11, 10), 3, (2, 3), stride=(3, 2), dilation=(2, 3), padding=(1, 2)),
    Case(2, 4, (5, 6), 6, (3, 3), groups=2),
    Case(2, 5, (5, 6), 5, (3, 3), groups=5, padding=1),  # depthwise
    Case(17, 16, (6, 6), 18, (5, 5), padding="same"),
    Case(2, 64, (2, 9), 64, (1, 1)),  # rows too long for the L1 cache: stretches of them, the last one shorter
    Case(2, 70, (5, 11), 50, (3, 3), stride=2, padding=1),
    Case(2, 32, (7, 8), 5, (3, 3), dilation=2, padding=5),
]
SETTINGS_SINGLE = [
    Case(2, 1, (3, 3), 1, (2, 2)),
    Case(2, 9, (1, 1), 15, (1, 1)),  # a dense layer in disguise
    Case(2, 4, (7, 5), 15, (1, 1)),
    Case(2, 6, (3, 4), 10, (2, 2), padding=4),  # outputs that see nothing but padding
    Case(2, 2, (2, 2), 5, (5, 5), padding=2),  # the filter is larger than the image
    Case(2, 2, (6, 7), 5, (2, 4), padding="same"),  # odd totals: the extra zero goes after the image
    Case(2, 6, (6, 7), 10, (3, 2), padding="valid"),
    Case(2, 6, (5, 6), 3, (2, 3), groups=3, padding=1),
    Case(2, 3, (5, 6), 9, (3, 3), groups=3, stride=2, padding=1),  # depthwise with a multiplier
    Case(2, 4, (8, 9), 14, (3, 2), groups=2, stride=2, dilation=2, padding=2),
    Case(17, 4, (6, 5), 34, (3, 3), groups=2, stride=(2, 1), padding=1),
    Case(2, 32, (5, 4), 32, (3, 3), groups=2, padding=1),
    Case(33, 3, (9, 8), 20, (5, 5), padding=2),
    Case(2, 24, (3, 4), 6, (2, 2), padding=4),  # rows of outputs that see nothing but padding, with many channels
]
GRID_DOUBLE = [*BATCHES, *FILTERS, *CHANNELS, *SETTINGS]
GRID = [*GRID_DOUBLE, *FILTERS_SINGLE, *CHANNELS_SINGLE, *SETTINGS_SINGLE]
EVERY_CASE = [
    pytest.param(case, dtype, id=f"{case}-{dtype}")
    for dtype, grid in zip(DTYPES, (GRID, GRID_DOUBLE), strict=True)
    for of_mode in ([one._replace(mode=mode) for mode in ("cross_correlation", "convolution")] for one in grid)
    for case in of_mode
]


@pytest.mark.parametrize(("case", "dtype"), EVERY_CASE)
def test_forward_and_backward_equal_the_naive_loops(case: Case, dtype: Any) -> None:
    """Exactly, on whole numbers: see `tests/functional/arrays.py`."""
    generator = np.random.default_rng(7)
    x, weight = whole(generator, case.x_shape, dtype), whole(generator, case.weight_shape, dtype)
    bias = whole(generator, (case.filters,), dtype)

    y = functional.conv2d(x, weight, bias, **case.settings)
    assert_same(y, naive.conv2d(x, weight, bias, **case.settings), dtype)

    grad_output = whole(generator, y.shape, dtype)
    gradients = functional.conv2d_backward(grad_output, x, weight, **case.settings)
    expected = naive.conv2d_backward(grad_output, x, weight, **case.settings)
    for name, actual, wanted in zip(("input", "weight", "bias"), gradients, expected, strict=True):
        assert actual.shape == wanted.shape, name
        assert_same(actual, wanted, dtype)


ROUNDED = [
    Case(17, 3, (9, 8), 6, (5, 5), padding=2),
    Case(33, 20, (8, 8), 50, (5, 5)),  # Caffe LeNet's second layer, on a smaller image
    Case(5, 16, (10, 9), 18, (3, 3), stride=2, padding=1),
    Case(4, 6, (9, 9), 9, (3, 3), groups=3, dilation=2, padding=2, mode="convolution"),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", ROUNDED, ids=str)
def test_rounding_errors_stay_within_those_of_a_sum(case: Case, dtype: Any) -> None:
    generator = np.random.default_rng(8)
    x, weight = normal(generator, case.x_shape, dtype), normal(generator, case.weight_shape, dtype)
    y = functional.conv2d(x, weight, **case.settings)
    magnitude = naive.conv2d(abs(x), abs(weight), **case.settings)
    taps = int(np.prod(case.weight_shape[1:]))
    assert_sum_close(y, naive.conv2d(x, weight, **case.settings), magnitude, taps, dtype)

    grad_output = normal(generator, y.shape, dtype)
    gradients = functional.conv2d_backward(grad_output, x, weight, **case.settings)
    expected = naive.conv2d_backward(grad_output, x, weight, **case.settings)
    magnitudes = naive.conv2d_backward(abs(grad_output), abs(x), abs(weight), **case.settings)
    pixels = y.shape[0] * y.shape[2] * y.shape[3]
    terms = (taps * case.filters // case.weight_shape[1], pixels, pixels)
    for parts in zip(gradients, expected, magnitudes, terms, strict=True):
        assert_sum_close(*parts, dtype)


def test_no_bias_means_a_bias_of_zero() -> None:
    generator = np.random.default_rng(9)
    x, weight = normal(generator, (3, 5, 5, 6), np.float32), normal(generator, (7, 5, 3, 3), np.float32)
    zero = np.zeros(7, np.float32)
    np.testing.assert_array_equal(functional.conv2d(x, weight), functional.conv2d(x, weight, zero))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_an_image_does_not_feel_its_neighbours(dtype: Any) -> None:
    """Each of 19 images gives, bit for bit, what it gives alone."""
    generator = np.random.default_rng(10)
    x, weight = normal(generator, (19, 5, 7, 6), dtype), normal(generator, (6, 5, 3, 3), dtype)
    together = functional.conv2d(x, weight, padding=1)
    grad_output = normal(generator, together.shape, dtype)
    grad_together = functional.conv2d_backward(grad_output, x, weight, padding=1)[0]
    for n in range(len(x)):
        one = slice(n, n + 1)
        np.testing.assert_array_equal(functional.conv2d(x[one], weight, padding=1), together[one])
        alone = functional.conv2d_backward(grad_output[one], x[one], weight, padding=1)[0]
        np.testing.assert_array_equal(alone, grad_together[one])


def test_arguments_are_not_changed() -> None:
    generator = np.random.default_rng(11)
    x, weight = normal(generator, (17, 5, 5, 6), np.float32), normal(generator, (6, 5, 3, 3), np.float32)
    bias, grad_output = normal(generator, (6,), np.float32), normal(generator, (17, 6, 3, 4), np.float32)
    arguments: list[Array] = [x, weight, bias, grad_output]
    before = [a.copy() for a in arguments]
    functional.conv2d(x, weight, bias)
    functional.conv2d_backward(grad_output, x, weight)
    for array, copy in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_results_do_not_share_memory_with_a_later_call() -> None:
    """A buffer that is reused inside must not be handed out."""
    x, weight = np.ones((2, 1, 3, 3), np.float32), np.ones((1, 1, 2, 2), np.float32)
    first = functional.conv2d(x, weight)
    kept = first.copy()
    functional.conv2d(5 * x, weight)
    np.testing.assert_array_equal(first, kept)
    assert first.flags.writeable
    assert first.flags.c_contiguous
