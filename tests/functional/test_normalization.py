"""Average-pooling and batch normalisation of arrays: thin covers of passes that `tests/layers` looks into."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain import functional
from cnntrain.errors import ArgumentError
from tests import naive_layers
from tests.functional.arrays import DTYPES


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "settings", [{}, {"stride": 2, "padding": 1, "ceil_mode": True, "count_padding": False}], ids=str
)
def test_avg_pool2d(settings: dict[str, Any], dtype: np.dtype) -> None:
    x = np.random.default_rng(1).standard_normal((17, 2, 7, 6)).astype(dtype)
    y = functional.avg_pool2d(x, 3, **settings)
    tolerance = 8 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(y, naive_layers.avg_pool2d(x, 3, **settings), atol=tolerance)
    expected = naive_layers.avg_pool2d_backward(y, x.shape, 3, **settings)
    np.testing.assert_allclose(functional.avg_pool2d_backward(y, x.shape, 3, **settings), expected, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_batch_norm2d(dtype: np.dtype) -> None:
    generator = np.random.default_rng(2)
    x, g = (generator.standard_normal((17, 3, 5, 4)).astype(dtype) for _ in range(2))
    scale, shift = generator.uniform(1, 2, 3).astype(dtype), generator.standard_normal(3).astype(dtype)
    close: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    expected = naive_layers.batch_norm2d(x, scale, shift, 0.1)
    for actual, wanted in zip(functional.batch_norm2d(x, scale, shift, epsilon=0.1), expected, strict=True):
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual, wanted, **close)
    gradients = naive_layers.batch_norm2d_backward(g, x, scale, 0.1)
    for actual, wanted in zip(functional.batch_norm2d_backward(g, x, scale, epsilon=0.1), gradients, strict=True):
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual, wanted, **close)


def test_errors() -> None:
    x, ones = np.zeros((2, 3, 4, 4)), np.ones(3)
    with pytest.raises(
        ArgumentError, match=r"scale must have shape \(3,\) \(one for each channel of x\); received \(2,\)"
    ):
        functional.batch_norm2d(x, np.ones(2), ones)
    with pytest.raises(ArgumentError, match="shift must be float64 like the other arrays; received float32"):
        functional.batch_norm2d(x, ones, ones.astype(np.float32))
    with pytest.raises(ArgumentError, match="epsilon must be positive; received 0"):
        functional.batch_norm2d(x, ones, ones, epsilon=0)
    with pytest.raises(ArgumentError, match="grad_output must have shape"):
        functional.batch_norm2d_backward(x[:1], x, ones)
    with pytest.raises(ArgumentError, match="kernel_size does not fit: 5 rows"):
        functional.avg_pool2d(x, 5)
    with pytest.raises(ArgumentError, match="grad_output must have shape .* received"):
        functional.avg_pool2d_backward(x, x.shape, 2)
    with pytest.raises(ArgumentError, match=r"as many axes as input_shape \(4, 4\); received shape \(2, 3, 4, 4\)"):
        functional.avg_pool2d_backward(x, (4, 4), 2)
    with pytest.raises(ArgumentError, match=r"input_shape must be .*; received \(4,\)"):
        functional.avg_pool2d_backward(x, (4,), 2)
    with pytest.raises(ArgumentError, match="alpha must be positive; received -1"):
        functional.elu(x, -1)
    with pytest.raises(ArgumentError, match="beta must be positive; received 0"):
        functional.softplus(x, 0)
