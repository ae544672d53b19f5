"""Average-pooling against the naive reference, central differences and the rules of shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cnntrain.errors import ShapeError
from cnntrain.layers import LAYERS
from cnntrain.shape import Shape
from tests import naive_layers
from tests.functional.arrays import DTYPES
from tests.layers.single import Single, check_gradients

SETTINGS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},  # a window that would begin in the padding
    {"kernel_size": (7, 6), "stride": 1},
]


@pytest.mark.parametrize("count_padding", [True, False])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_forward_and_backward(settings: dict[str, Any], count_padding: bool) -> None:
    settings = {**settings, "count_padding": count_padding}
    generator = np.random.default_rng(1)
    for dtype in DTYPES:
        x = generator.standard_normal((17, 3, 7, 6)).astype(dtype)
        single = Single.build("avg_pool2d", settings, x)
        expected = naive_layers.avg_pool2d(x, **settings)
        tolerance = 8 * float(np.finfo(dtype).eps)
        np.testing.assert_allclose(single.forward(x), expected, atol=tolerance)
        grad_output = generator.standard_normal(expected.shape).astype(dtype)
        expected = naive_layers.avg_pool2d_backward(grad_output, x.shape, **settings)
        np.testing.assert_allclose(single.backward(grad_output), expected, atol=tolerance)


@pytest.mark.parametrize("images", [1, 15, 16, 33])
def test_numbers_of_images(images: int) -> None:
    x = np.random.default_rng(2).standard_normal((images, 2, 4, 4)).astype(np.float32)
    single = Single.build("avg_pool2d", {"kernel_size": 2}, x, images=33)
    y = single.forward(x)
    np.testing.assert_allclose(y, naive_layers.avg_pool2d(x, 2), atol=1e-6)
    single.backward(y)


def test_global_average() -> None:
    x = np.random.default_rng(3).standard_normal((17, 5, 6, 7))
    single = Single.build("global_avg_pool2d", {}, x)
    np.testing.assert_allclose(single.forward(x)[:, :, 0, 0], x.mean(axis=(2, 3)), atol=1e-15)
    grad_output = np.random.default_rng(4).standard_normal((17, 5, 1, 1))
    np.testing.assert_allclose(single.backward(grad_output), np.broadcast_to(grad_output / 42, x.shape), atol=1e-15)
    assert LAYERS["global_avg_pool2d"].Settings().output_shape(Shape(5, 6, 7)) == (5, 1, 1)


def test_a_large_sum_stays_accurate() -> None:
    """112 x 112 numbers near 1 in float32: added one by one they would be wrong in the fourth digit."""
    x = np.random.default_rng(5).uniform(0.9, 1.1, (1, 1, 112, 112)).astype(np.float32)
    y = Single.build("global_avg_pool2d", {}, x).forward(x)
    np.testing.assert_allclose(y[0, 0, 0, 0], x.astype(np.float64).mean(), rtol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS[1:4], ids=str)
def test_gradients(settings: dict[str, Any]) -> None:
    x = np.random.default_rng(6).standard_normal((2, 2, 7, 6))
    check_gradients(Single.build("avg_pool2d", settings, x), x)


def test_nan_and_infinity_show_in_their_windows_alone() -> None:
    x = np.zeros((1, 1, 4, 4), np.float32)
    x[0, 0, 0, 0], x[0, 0, 3, 3] = np.nan, np.inf
    y = Single.build("avg_pool2d", {"kernel_size": 2}, x).forward(x)[0, 0]
    assert np.isnan(y[0, 0])
    assert np.isinf(y[1, 1])
    assert y[0, 1] == y[1, 0] == 0


def test_what_does_not_fit() -> None:
    settings: Any = LAYERS["avg_pool2d"].Settings
    with pytest.raises(ShapeError, match="kernel_size 5x5 on a 4x4 image"):
        settings(kernel_size=5).output_shape(Shape(1, 4, 4))
    with pytest.raises(ShapeError, match="padding 2 is more than half of kernel_size 3"):
        settings(kernel_size=3, padding=2).output_shape(Shape(1, 4, 4))
    with pytest.raises(ValidationError, match="count_pading"):
        settings(kernel_size=2, count_pading=True)
