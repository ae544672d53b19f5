"""NaN and infinity in a convolution: visible in every output that reads them, and in no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain import functional
from tests.functional.arrays import DTYPES, whole


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_pixel_reaches_exactly_the_windows_that_contain_it(bad: float, dtype: Any) -> None:
    generator = np.random.default_rng(81)
    x, weight = whole(generator, (19, 5, 6, 7), dtype), np.ones((6, 5, 3, 3), dtype)
    clean = functional.conv2d(x, weight, padding=1)
    x[17, 1, 2, 3] = bad
    y = functional.conv2d(x, weight, padding=1)
    reached = np.zeros(y.shape, bool)
    reached[17, :, 1:4, 2:5] = True
    np.testing.assert_array_equal(~np.isfinite(y), reached)
    np.testing.assert_array_equal(y[~reached], clean[~reached])

    grad_output = np.ones(y.shape, dtype)
    grad_input, grad_weight, grad_bias = functional.conv2d_backward(grad_output, x, weight, padding=1)
    assert np.isfinite(grad_input).all()  # it does not depend on x
    assert np.isfinite(grad_bias).all()
    bad_taps = np.zeros(grad_weight.shape, bool)
    bad_taps[:, 1] = True  # every tap of channel 1 meets the pixel
    np.testing.assert_array_equal(~np.isfinite(grad_weight), bad_taps)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_bad_delta_reaches_its_window_its_filter_and_its_bias(dtype: Any) -> None:
    generator = np.random.default_rng(82)
    x, weight = whole(generator, (19, 5, 6, 7), dtype) + 10, np.ones((6, 5, 3, 3), dtype)
    grad_output = whole(generator, (19, 6, 4, 5), dtype)
    grad_output[18, 2, 1, 1] = np.nan
    grad_input, grad_weight, grad_bias = functional.conv2d_backward(grad_output, x, weight)
    reached = np.zeros(x.shape, bool)
    reached[18, :, 1:4, 1:4] = True
    np.testing.assert_array_equal(np.isnan(grad_input), reached)
    np.testing.assert_array_equal(np.isnan(grad_weight).all(axis=(1, 2, 3)), np.arange(6) == 2)
    assert np.isfinite(grad_weight[np.arange(6) != 2]).all()
    np.testing.assert_array_equal(np.isnan(grad_bias), np.arange(6) == 2)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_padding_is_not_multiplied_with_bad_weights(dtype: Any) -> None:
    """0 times NaN would be NaN: a tap that falls on the padding is skipped, as a clipped window says."""
    weight = np.ones((1, 1, 3, 3), dtype)
    weight[0, 0, 0, 0] = np.nan
    y = functional.conv2d(np.ones((1, 1, 3, 3), dtype), weight, padding=1)
    np.testing.assert_array_equal(np.isnan(y[0, 0]), [[False] * 3, [False, True, True], [False, True, True]])
