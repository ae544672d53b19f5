"""ELU, SELU, SiLU, GELU, softplus, PReLU: accuracy in both types, slopes, far and special values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cnntrain.layers import LAYERS
from cnntrain.shape import Shape
from tests import naive_layers
from tests.functional.arrays import DTYPES, Array
from tests.layers.single import Single, check_gradients

CASES: dict[str, tuple[str, dict[str, Any], Callable[[Array], Array]]] = {
    "elu": ("elu", {}, naive_layers.elu),
    "elu 0.3": ("elu", {"alpha": 0.3}, lambda x: naive_layers.elu(x, 0.3)),
    "selu": ("selu", {}, naive_layers.selu),
    "silu": ("silu", {}, naive_layers.silu),
    "gelu": ("gelu", {}, naive_layers.gelu),
    "gelu tanh": ("gelu", {"approximate": "tanh"}, naive_layers.gelu_tanh),
    "softplus": ("softplus", {}, naive_layers.softplus),
    "softplus 3": ("softplus", {"beta": 3.0}, lambda x: naive_layers.softplus(x, 3.0)),
}
SPECIAL = [0.0, 1e-30, -1e-30, 1e-8, -1e-8, 1e-3, -1e-3, 6.0, -6.0, 12.0, -12.0, 20.0, 90.0, -90.0, 1000.0, -1000.0]


def as_images(values: Array) -> Array:
    return values.reshape(1, 1, 1, -1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_values(case: str, dtype: np.dtype) -> None:
    """Within a few units in the last place of y, down to where exp(x) leaves the range of normal numbers."""
    name, settings, expected = CASES[case]
    values = np.concatenate([SPECIAL, np.random.default_rng(1).uniform(-30, 30, 500)])
    x = as_images(values).astype(dtype)
    y = Single.build(name, settings, x).forward(x)
    assert y.dtype == dtype
    exact = expected(x)
    smallest = 1e3 * float(np.finfo(dtype).tiny)
    # what is computed as exp(a) has an error of |a| units, because a was rounded; here and in the reference
    units = 4 * (2 + np.abs(np.log(np.maximum(np.abs(exact), smallest))))
    error, bound = np.abs(y - exact), units * float(np.finfo(dtype).eps) * np.abs(exact) + smallest
    assert (error <= bound).all(), list(zip(x[error > bound], y[error > bound], exact[error > bound], strict=True))


@pytest.mark.parametrize("case", CASES)
def test_gradients(case: str) -> None:
    name, settings, _ = CASES[case]
    x = np.random.default_rng(2).uniform(-6, 6, (2, 2, 5, 6))
    check_gradients(Single.build(name, settings, x), x)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_far_out_the_slopes_are_those_of_a_rectifier(case: str, dtype: np.dtype) -> None:
    name, settings, _ = CASES[case]
    x = as_images(np.array([1e3, -1e3, 1e10, -1e10])).astype(dtype)
    single = Single.build(name, settings, x)
    single.forward(x)
    slope = 1.0507009873554805 if name == "selu" else 1.0
    np.testing.assert_allclose(single.backward(np.ones_like(x)).ravel(), [slope, 0, slope, 0], rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("case", CASES)
def test_nan_stays_visible(case: str) -> None:
    name, settings, _ = CASES[case]
    x = as_images(np.array([np.nan, 1.0])).astype(np.float32)
    single = Single.build(name, settings, x)
    assert np.isnan(single.forward(x)).ravel().tolist() == [True, False]
    assert np.isnan(single.backward(np.ones_like(x))).ravel().tolist() == [True, False]


def test_the_normal_distribution_keeps_its_digits_in_the_tail() -> None:
    """1 + erf(x / sqrt(2)) has lost all of them at x = -9. The numbers were computed with 40 digits."""
    x = as_images(np.array([-0.5, -3.0, -9.0, -20.0, -30.0]))
    y = Single.build("gelu", {}, x).forward(x)
    exact = [
        -0.154268769362993448,
        -0.00404969409489028358,
        -1.01572956535845658e-18,
        -5.50724823721246739e-88,
        -1.47201417814445612e-196,
    ]
    np.testing.assert_allclose(y.ravel(), exact, rtol=1e-14)


@pytest.mark.parametrize("images", [1, 15, 17, 33])
@pytest.mark.parametrize("shared", [False, True])
def test_prelu(images: int, shared: bool) -> None:
    generator = np.random.default_rng(3)
    x = generator.standard_normal((images, 3, 4, 5)).astype(np.float32)
    single = Single.build("prelu", {"shared": shared}, x, images=40)
    slope = np.array([-0.5] if shared else [-0.5, 0.0, 1.5])  # a slope below zero makes y useless to tell the sign of z
    single.value("slope")[:] = slope
    np.testing.assert_allclose(single.forward(x), naive_layers.prelu(x, np.broadcast_to(slope, 3)), rtol=1e-6)
    grad_output = generator.standard_normal(x.shape).astype(np.float32)
    every = np.broadcast_to(slope, 3)[:, None, None]
    np.testing.assert_allclose(single.backward(grad_output), grad_output * np.where(x > 0, 1, every), rtol=1e-6)
    exact = (grad_output.astype(np.float64) * np.minimum(x, 0)).sum(axis=(0, 2, 3))
    np.testing.assert_allclose(single.gradient("slope"), [exact.sum()] if shared else exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shared", [False, True])
def test_prelu_gradients(shared: bool) -> None:
    x = np.random.default_rng(4).standard_normal((3, 2, 3, 3))
    check_gradients(Single.build("prelu", {"shared": shared}, x), x)


def test_prelu_starts_like_pytorch_and_without_decay() -> None:
    single = Single.build("prelu", {}, np.zeros((1, 3, 2, 2)))
    np.testing.assert_array_equal(single.value("slope"), [0.25] * 3)
    assert single.layer.parameters[0].weight_decay == 0


def test_decisions_tell_the_pieces_apart() -> None:
    x = as_images(np.array([-1.0, 2.0]))
    for name in ("elu", "selu", "prelu"):
        single = Single.build(name, {}, x)
        single.forward(x)
        decisions = single.layer.decisions(1)
        assert decisions is not None
        assert decisions.reshape(2, 16)[:, 0].tolist() == [False, True]


@pytest.mark.parametrize(
    ("name", "settings"),
    [("elu", {"alpha": 0.0}), ("softplus", {"beta": -1.0}), ("gelu", {"approximate": "erf"}), ("silu", {"beta": 1.0})],
)
def test_wrong_settings(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(settings))):
        LAYERS[name].Settings(**settings)


@pytest.mark.parametrize("name", ["elu", "selu", "silu", "gelu", "softplus", "prelu", "batch_norm2d", "dropout"])
def test_shapes_stay(name: str) -> None:
    assert LAYERS[name].Settings().output_shape(Shape(3, 4, 5)) == (3, 4, 5)
