"""The reference itself: its gradients against finite differences. (Its values: `test_worked_examples.py`, `golden/`.)

What all other tests lean on must not lean on what they test.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import naive

CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-8}


def test_it_imports_nothing_from_cnntrain() -> None:
    tree = ast.parse(Path(naive.__file__).read_text(encoding="utf-8"))
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    assert imported
    assert not [name for name in imported if name.startswith("cnntrain")]


@pytest.mark.parametrize("mode", ["cross_correlation", "convolution"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"padding": (2, 1)},
        {"padding": "same"},
        {"stride": (2, 3), "padding": 1},
        {"dilation": (2, 1), "padding": 2},
        {"groups": 2},
    ],
    ids=str,
)
def test_convolution_gradients_are_those_of_finite_differences(settings: dict[str, Any], mode: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 4, 5, 6))
    weight = rng.standard_normal((4, 4 // settings.get("groups", 1), 3, 2))
    bias = rng.standard_normal(4)
    grad_output = rng.standard_normal(naive.conv2d(x, weight, mode=mode, **settings).shape)

    def loss(x: naive.Array, weight: naive.Array, bias: naive.Array) -> float:
        return float((grad_output * naive.conv2d(x, weight, bias, mode=mode, **settings)).sum())

    grad_input, grad_weight, grad_bias = naive.conv2d_backward(grad_output, x, weight, mode=mode, **settings)
    np.testing.assert_allclose(grad_input, naive.numeric_gradient(lambda v: loss(v, weight, bias), x), **CLOSE)
    np.testing.assert_allclose(grad_weight, naive.numeric_gradient(lambda v: loss(x, v, bias), weight), **CLOSE)
    np.testing.assert_allclose(grad_bias, naive.numeric_gradient(lambda v: loss(x, weight, v), bias), **CLOSE)


@pytest.mark.parametrize("settings", [{"stride": 1}, {"padding": 1}, {"stride": 2, "ceil_mode": True}], ids=str)
def test_max_pooling_gradient_is_that_of_finite_differences(settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(2)
    x = rng.permutation(2 * 2 * 6 * 6).reshape(2, 2, 6, 6) / 10  # no two values within a difference's reach
    y, mask = naive.max_pool2d(x, 3, **settings)
    grad_output = rng.standard_normal(y.shape)
    numeric = naive.numeric_gradient(lambda v: float((grad_output * naive.max_pool2d(v, 3, **settings)[0]).sum()), x)
    np.testing.assert_allclose(naive.max_pool2d_backward(grad_output, mask, x.shape), numeric, **CLOSE)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid", "tanh"])
def test_activation_gradients_are_those_of_finite_differences(name: str) -> None:
    rng = np.random.default_rng(3)
    x, grad_output = rng.standard_normal(50), rng.standard_normal(50)
    function, backward = getattr(naive, name), getattr(naive, f"{name}_backward")
    numeric = naive.numeric_gradient(lambda v: float((grad_output * function(v)).sum()), x)
    np.testing.assert_allclose(backward(grad_output, function(x)), numeric, **CLOSE)


def test_loss_gradients_are_those_of_finite_differences() -> None:
    rng = np.random.default_rng(4)
    outputs, labels = 2 * rng.standard_normal((5, 4)), rng.integers(0, 4, 5)
    targets = rng.standard_normal((5, 4))
    for loss, wanted in ((naive.cross_entropy, labels), (naive.mse, labels), (naive.mse, targets)):
        numeric = naive.numeric_gradient(lambda v, loss=loss, wanted=wanted: loss(v, wanted)[0], outputs)  # type: ignore[misc]
        np.testing.assert_allclose(loss(outputs, wanted)[1], numeric, **CLOSE)


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_two_forms_of_sgd_agree_while_the_learning_rate_is_constant(nesterov: bool) -> None:
    rng = np.random.default_rng(5)
    settings = {"momentum": 0.9, "nesterov": nesterov, "weight_decay": 0.01}
    ours = caffes = rng.standard_normal(6)
    velocity = caffe_velocity = np.zeros(6)
    for _ in range(5):
        gradient = rng.standard_normal(6)
        ours, velocity = naive.sgd_step(ours, gradient, velocity, 0.1, **settings)  # type: ignore[arg-type]
        caffes, caffe_velocity = naive.caffe_sgd_step(caffes, gradient, caffe_velocity, 0.1, **settings)  # type: ignore[arg-type]
        np.testing.assert_allclose(ours, caffes, rtol=1e-13)
    # ... and part when it drops: Caffe's velocity remembers the rates of the past
    gradient = rng.standard_normal(6)
    ours, _ = naive.sgd_step(ours, gradient, velocity, 0.01, **settings)  # type: ignore[arg-type]
    caffes, _ = naive.caffe_sgd_step(caffes, gradient, caffe_velocity, 0.01, **settings)  # type: ignore[arg-type]
    assert np.abs(ours - caffes).max() > 1e-3
