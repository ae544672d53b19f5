"""Every backward function against central differences of its forward, in float64, through the compiled kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain import functional
from tests.functional.arrays import Array
from tests.naive import numeric_gradient

# Central differences with h = 1e-5 err by about h^2 times the third derivative, plus 1e-16 / h from rounding.
CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-8}


@pytest.mark.parametrize("mode", ["cross_correlation", "convolution"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"padding": (2, 1)}, {"stride": (2, 1), "padding": 1}, {"dilation": 2, "padding": 2}, {"groups": 2}],
    ids=str,
)
def test_conv2d(settings: dict[str, Any], mode: str) -> None:
    generator = np.random.default_rng(21)
    settings = {**settings, "mode": mode}
    x = generator.standard_normal((2, 4, 4, 5))
    weight = generator.standard_normal((6, 4 // settings.get("groups", 1), 2, 3))
    bias = generator.standard_normal(6)
    grad_output = generator.standard_normal(functional.conv2d(x, weight, **settings).shape)

    def loss(x: Array, weight: Array, bias: Array) -> float:
        return float((grad_output * functional.conv2d(x, weight, bias, **settings)).sum())

    grad_input, grad_weight, grad_bias = functional.conv2d_backward(grad_output, x, weight, **settings)
    np.testing.assert_allclose(grad_input, numeric_gradient(lambda v: loss(v, weight, bias), x), **CLOSE)
    np.testing.assert_allclose(grad_weight, numeric_gradient(lambda v: loss(x, v, bias), weight), **CLOSE)
    np.testing.assert_allclose(grad_bias, numeric_gradient(lambda v: loss(x, weight, v), bias), **CLOSE)


def test_dense() -> None:
    generator = np.random.default_rng(22)
    x, weight, bias = (generator.standard_normal(shape) for shape in ((3, 7), (5, 7), (5,)))
    grad_output = generator.standard_normal((3, 5))

    def loss(x: Array, weight: Array, bias: Array) -> float:
        return float((grad_output * functional.dense(x, weight, bias)).sum())

    grad_input, grad_weight, grad_bias = functional.dense_backward(grad_output, x, weight)
    np.testing.assert_allclose(grad_input, numeric_gradient(lambda v: loss(v, weight, bias), x), **CLOSE)
    np.testing.assert_allclose(grad_weight, numeric_gradient(lambda v: loss(x, v, bias), weight), **CLOSE)
    np.testing.assert_allclose(grad_bias, numeric_gradient(lambda v: loss(x, weight, v), bias), **CLOSE)


@pytest.mark.parametrize(
    "settings", [{}, {"stride": 1}, {"stride": 2, "padding": 1}, {"stride": 2, "ceil_mode": True}], ids=str
)
def test_max_pool2d(settings: dict[str, Any]) -> None:
    generator = np.random.default_rng(23)
    x = generator.permutation(2 * 3 * 6 * 7).reshape(2, 3, 6, 7) / 10  # no two values within a difference's reach
    y, mask = functional.max_pool2d(x, 3, **settings)
    grad_output = generator.standard_normal(y.shape)
    numeric = numeric_gradient(lambda v: float((grad_output * functional.max_pool2d(v, 3, **settings)[0]).sum()), x)
    backward_settings = {name: value for name, value in settings.items() if name != "ceil_mode"}
    grad_input = functional.max_pool2d_backward(grad_output, mask, x.shape, 3, **backward_settings)
    np.testing.assert_allclose(grad_input, numeric, **CLOSE)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_activations(name: str) -> None:
    generator = np.random.default_rng(24)
    x, grad_output = generator.standard_normal((2, 3, 4, 5)), generator.standard_normal((2, 3, 4, 5))
    function, backward = getattr(functional, name), getattr(functional, f"{name}_backward")
    numeric = numeric_gradient(lambda v: float((grad_output * function(v)).sum()), x)
    np.testing.assert_allclose(backward(grad_output, function(x)), numeric, **CLOSE)


def test_cross_entropy() -> None:
    generator = np.random.default_rng(25)
    logits, labels = 2 * generator.standard_normal((5, 4)), generator.integers(0, 4, 5)
    numeric = numeric_gradient(lambda v: functional.cross_entropy(v, labels)[0], logits)
    np.testing.assert_allclose(functional.cross_entropy(logits, labels)[1], numeric, **CLOSE)


@pytest.mark.parametrize("kind", ["labels", "targets"])
def test_mse(kind: str) -> None:
    generator = np.random.default_rng(26)
    outputs = generator.standard_normal((5, 4))
    wanted = generator.integers(0, 4, 5) if kind == "labels" else generator.standard_normal((5, 4))
    numeric = numeric_gradient(lambda v: functional.mse(v, wanted)[0], outputs)
    np.testing.assert_allclose(functional.mse(outputs, wanted)[1], numeric, **CLOSE)
