"""Compare an implementation (`cnntrain.functional` or `tests.naive`) with what PyTorch computed in float64.

Tolerances: PyTorch and we round differently in the last place of float64. Sums of up to about 600 products of numbers
around 1 stay within 1e-12; activations are within a few units in the last place, relative.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from tests import naive
from tests.golden import cases
from tests.golden.cases import Array

CLOSE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}


def load(file: str) -> dict[str, dict[str, Array]]:
    """A golden file as {case: {array name: array}}."""
    content: dict[str, dict[str, Array]] = {}
    with np.load(cases.FOLDER / f"{file}.npz") as stored:
        for key in stored.files:
            case, _, name = key.rpartition("/")
            content.setdefault(case, {})[name] = stored[key]
    return content


def convolution(on: ModuleType, name: str, expected: Mapping[str, Array]) -> None:
    settings = cases.CONVOLUTIONS[name][2]
    y = on.conv2d(expected["x"], expected["weight"], expected["bias"], **settings)
    np.testing.assert_allclose(y, expected["y"], **CLOSE)
    gradients = on.conv2d_backward(expected["grad_output"], expected["x"], expected["weight"], **settings)
    for part, gradient in zip(("input", "weight", "bias"), gradients, strict=True):
        np.testing.assert_allclose(gradient, expected[f"grad_{part}"], err_msg=part, **CLOSE)


def pooling(on: ModuleType, name: str, expected: Mapping[str, Array]) -> None:
    settings = dict(cases.POOLINGS[name][1])
    x = expected["x"].astype(np.float64)
    y, mask = on.max_pool2d(x, **settings)
    np.testing.assert_array_equal(y, expected["y"])
    np.testing.assert_array_equal(mask, expected["mask"])
    settings.pop("ceil_mode", None)
    extra = {} if on is naive else settings
    grad_input = on.max_pool2d_backward(expected["grad_output"], mask, x.shape, **extra)
    np.testing.assert_allclose(grad_input, expected["grad_input"], **CLOSE)


def activation(on: ModuleType, name: str, expected: Mapping[str, Array]) -> None:
    y = getattr(on, name)(expected["x"])
    np.testing.assert_allclose(y, expected["y"], rtol=1e-14, atol=1e-300)
    # 1 - y and 1 - y^2 cancel near 1: an error of one unit in y is an absolute error of 2e-16 times the gradient
    grad_input = getattr(on, f"{name}_backward")(expected["grad_output"], y)
    np.testing.assert_allclose(grad_input, expected["grad_input"], rtol=1e-13, atol=5e-15)


def losses(on: ModuleType, expected: Mapping[str, Array]) -> None:
    loss, grad_logits = on.cross_entropy(expected["logits"], expected["labels"])
    np.testing.assert_allclose(loss, expected["cross_entropy"], rtol=1e-13)
    np.testing.assert_allclose(grad_logits, expected["grad_logits"], rtol=1e-12, atol=1e-15)
    loss, grad_outputs = on.mse(expected["outputs"], expected["targets"])
    np.testing.assert_allclose(loss, expected["mse"], rtol=1e-13)
    np.testing.assert_allclose(grad_outputs, expected["grad_outputs"], rtol=1e-13, atol=1e-16)
