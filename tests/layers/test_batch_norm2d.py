"""Batch normalisation: statistics, running statistics, both modes, and everything that is not an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain.layers import LAYERS
from cnntrain.shape import Shape
from tests import naive_layers
from tests.functional.arrays import DTYPES
from tests.layers.single import Single, check_gradients


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("images", [1, 15, 16, 17, 33])
def test_forward_and_backward(images: int, dtype: np.dtype) -> None:
    generator = np.random.default_rng(images)
    x = (2 * generator.standard_normal((images, 5, 4, 3)) + 3).astype(dtype)
    single = Single.build("batch_norm2d", {}, x, images=40)
    scale, shift = generator.uniform(0.5, 2, 5), generator.standard_normal(5)
    single.value("scale")[:], single.value("shift")[:] = scale, shift
    expected, mean, variance = naive_layers.batch_norm2d(x, scale, shift)
    close: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(single.forward(x), expected, **close)
    count = images * 12
    np.testing.assert_allclose(single.value("running_mean"), 0.1 * mean, **close)
    np.testing.assert_allclose(single.value("running_variance"), 0.9 + 0.1 * variance * count / (count - 1), **close)
    grad_output = generator.standard_normal(x.shape).astype(dtype)
    grad_input, grad_scale, grad_shift = naive_layers.batch_norm2d_backward(grad_output, x, scale)
    np.testing.assert_allclose(single.backward(grad_output), grad_input, **close)
    np.testing.assert_allclose(single.gradient("scale"), grad_scale, **{**close, "atol": 20 * close["atol"]})
    np.testing.assert_allclose(single.gradient("shift"), grad_shift, **{**close, "atol": 20 * close["atol"]})


@pytest.mark.parametrize("shape", [(20, 3, 40, 40), (20, 300, 3, 5), (40, 7, 1, 1)], ids=str)
def test_shapes_that_are_cut_differently(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(7)
    x, grad_output = generator.standard_normal(shape), generator.standard_normal(shape)
    ones, zeros = np.ones(shape[1]), np.zeros(shape[1])
    single = Single.build("batch_norm2d", {}, x)
    expected = naive_layers.batch_norm2d(x, ones, zeros)[0]
    np.testing.assert_allclose(single.forward(x), expected, rtol=1e-10, atol=1e-10)
    expected = naive_layers.batch_norm2d_backward(grad_output, x, ones)[0]
    np.testing.assert_allclose(single.backward(grad_output), expected, rtol=1e-10, atol=1e-10)


def test_a_mean_far_from_zero_does_not_spoil_the_variance() -> None:
    """E(x**2) - E(x)**2 in float32 would give noise here: the squares are 1e8, the variance is 1."""
    generator = np.random.default_rng(8)
    x = (1e4 + generator.standard_normal((33, 2, 16, 16))).astype(np.float32)
    x[0] += 500  # whoever shifts by the first value does not get away with it either
    single = Single.build("batch_norm2d", {"momentum": 1.0}, x)
    y = single.forward(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(single.value("running_variance"), exact.var(axis=(0, 2, 3), ddof=1), rtol=1e-5)
    np.testing.assert_allclose(single.value("running_mean"), exact.mean(axis=(0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(y, naive_layers.batch_norm2d(x, np.ones(2), np.zeros(2))[0], atol=1e-3)


def test_running_statistics_over_several_batches_of_different_sizes() -> None:
    generator = np.random.default_rng(9)
    single = Single.build("batch_norm2d", {"momentum": 0.3}, np.zeros((32, 2, 3, 3)))
    mean, variance = np.zeros(2), np.ones(2)
    for images in (32, 32, 5):
        x = generator.standard_normal((images, 2, 3, 3)) * [[[2]], [[3]]] + 1
        single.forward(x)
        mean = 0.7 * mean + 0.3 * x.mean(axis=(0, 2, 3))
        variance = 0.7 * variance + 0.3 * x.var(axis=(0, 2, 3), ddof=1)
    np.testing.assert_allclose(single.value("running_mean"), mean, rtol=1e-12)
    np.testing.assert_allclose(single.value("running_variance"), variance, rtol=1e-12)


def test_evaluation_takes_the_running_statistics_and_leaves_them() -> None:
    generator = np.random.default_rng(10)
    x = generator.standard_normal((17, 2, 3, 3))
    single = Single.build("batch_norm2d", {"epsilon": 0.5}, x)
    single.value("running_mean")[:], single.value("running_variance")[:] = [1, 2], [3, 0.25]
    single.value("scale")[:], single.value("shift")[:] = [2, 1], [0, 5]
    y = single.forward(x, training=False)
    expected = (x - [[[1]], [[2]]]) / np.sqrt([[[3.5]], [[0.75]]]) * [[[2]], [[1]]] + [[[0]], [[5]]]
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    np.testing.assert_array_equal(y[:1], single.forward(x[:1], training=False))  # an image alone gives the same
    np.testing.assert_array_equal(single.value("running_mean"), [1, 2])
    check_gradients(single, x[:3], training=False)


@pytest.mark.parametrize(
    "settings", [{}, {"scale": False}, {"shift": False}, {"scale": False, "shift": False}], ids=str
)
def test_gradients(settings: dict[str, Any]) -> None:
    x = np.random.default_rng(11).standard_normal((3, 2, 2, 3))
    single = Single.build("batch_norm2d", settings, x)
    assert [p.name for p in single.layer.parameters] == [
        f"0.layer.{name}" for name in ("scale", "shift") if settings.get(name, True)
    ]
    check_gradients(single, x)


def test_one_value_per_channel_has_no_variance() -> None:
    x = np.array([[[[3.0]], [[-2.0]]]])
    single = Single.build("batch_norm2d", {}, x)
    single.value("shift")[:] = [0.5, 0.25]
    np.testing.assert_array_equal(single.forward(x).ravel(), [0.5, 0.25])
    np.testing.assert_array_equal(single.value("running_mean"), [0, 0])
    np.testing.assert_array_equal(single.value("running_variance"), [1, 1])
    np.testing.assert_array_equal(single.backward(np.ones_like(x)), np.zeros_like(x))


def test_a_constant_channel_becomes_the_shift() -> None:
    x = np.full((17, 1, 3, 3), 1e4, np.float32)
    y = Single.build("batch_norm2d", {}, x).forward(x)
    np.testing.assert_array_equal(y, np.zeros_like(x))


def test_nan_shows_in_its_channel_alone() -> None:
    x = np.random.default_rng(12).standard_normal((17, 2, 3, 3)).astype(np.float32)
    x[16, 1, 2, 2] = np.nan
    single = Single.build("batch_norm2d", {}, x)
    y = single.forward(x)
    assert np.isnan(y[:, 1]).all()
    assert np.isfinite(y[:, 0]).all()
    assert np.isnan(single.value("running_mean")).tolist() == [False, True]


def test_parameters_of_the_settings() -> None:
    settings: Any = LAYERS["batch_norm2d"].Settings
    assert settings().parameter_shapes(Shape(7, 2, 2)) == {"scale": (7,), "shift": (7,)}
    assert settings(scale=False).parameter_shapes(Shape(7, 2, 2)) == {"shift": (7,)}
    single = Single.build("batch_norm2d", {"scale_decay": 0.0, "shift_learning_rate": 2.0}, np.zeros((1, 2, 2, 2)))
    assert [(p.weight_decay, p.learning_rate) for p in single.layer.parameters] == [(0.0, 1.0), (1.0, 2.0)]
