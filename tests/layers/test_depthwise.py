"""Depthwise convolution: the kernels of its own against the naive reference, in whole numbers, bit for bit."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from cnntrain import functional
from cnntrain.layers.conv2d import Conv2dSettings
from cnntrain.shape import Shape
from tests import naive
from tests.functional.arrays import DTYPES, Case, assert_same, whole

CASES = [
    Case(17, 3, (6, 7), 3, (3, 3), padding=1, groups=3),
    Case(2, 19, (7, 5), 19, (3, 3), padding="same", groups=19),  # several tiles, of two sizes
    Case(2, 9, (9, 10), 9, (3, 3), stride=2, padding=1, groups=9),
    Case(1, 4, (5, 40), 4, (1, 31), padding=(0, 15), groups=4),  # more taps in a row than registers
]
# Each has a form of its own, of the gradient of the weights, for its taps in a row or its tile: one type will do.
SINGLE = [
    Case(2, 8, (9, 10), 8, (3, 3), stride=2, padding=1, groups=8),
    Case(3, 5, (8, 9), 5, (2, 4), stride=(3, 1), padding=(1, 3), dilation=(1, 2), groups=5),
    Case(2, 4, (7, 7), 4, (5, 5), padding="same", groups=4, mode="convolution"),
    Case(2, 2, (3, 3), 2, (5, 3), stride=2, padding=(3, 2), groups=2),  # a filter larger than the image
    Case(2, 3, (4, 4), 3, (1, 1), groups=3),
]
BOTH = [*product(CASES, DTYPES), *product(SINGLE, [np.dtype(np.float32)])]


@pytest.mark.parametrize(("case", "dtype"), BOTH, ids=str)
def test_all_passes(case: Case, dtype: np.dtype) -> None:
    generator = np.random.default_rng(1)
    x, weight, bias = (whole(generator, s, dtype) for s in (case.x_shape, case.weight_shape, (case.filters,)))
    expected = naive.conv2d(x, weight, bias, **case.settings)
    assert_same(functional.conv2d(x, weight, bias, **case.settings), expected, dtype)
    grad_output = whole(generator, expected.shape, dtype)
    gradients = functional.conv2d_backward(grad_output, x, weight, **case.settings)
    for actual, wanted in zip(gradients, naive.conv2d_backward(grad_output, x, weight, **case.settings), strict=True):
        assert_same(actual, wanted, dtype)


def test_nan_shows_in_its_channel_alone() -> None:
    x = np.ones((1, 3, 4, 4), np.float32)
    x[0, 1, 0, 0] = np.nan
    y = functional.conv2d(x, np.zeros((3, 1, 3, 3), np.float32), padding=1, groups=3)
    assert np.isnan(y).sum(axis=(0, 2, 3)).tolist() == [0, 4, 0]


@pytest.mark.parametrize(
    ("channels", "filters", "groups", "own"), [(4, 4, 4, 1), (4, 8, 4, 0), (4, 4, 2, 0), (1, 1, 1, 0)]
)
def test_which_convolutions_take_this_way(channels: int, filters: int, groups: int, own: int) -> None:
    settings = Conv2dSettings(filters=filters, kernel_size=(3, 3), groups=groups)
    assert settings.geometry(Shape(channels, 5, 5)).depthwise == bool(own)
