"""Activations of arrays of any shape, or of one number; backward from y where it tells the slope, else from x."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnntrain.errors import ArgumentError
from cnntrain.functional.arrays import flat, same_shape
from cnntrain.functional.first_call import says_when_it_compiles
from cnntrain.functional.forms import numbers
from cnntrain.kernels import activations as kernels
from cnntrain.kernels import smooth_activations as smooth
from cnntrain.shape import LANES


@says_when_it_compiles
def _apply(kernel: Callable[..., None], given: dict[str, ArrayLike], *settings: float) -> NDArray:
    """Run an element-wise kernel on arrays padded to whole lane vectors."""
    arrays = numbers(**given)
    shape, dtype = arrays[0].shape, arrays[0].dtype
    padded = []
    for name, array in zip(given, arrays, strict=True):
        same_shape(name, array, shape, "that of the other array")
        vectors = np.zeros(-(-array.size // LANES) * LANES, dtype)
        vectors[: array.size] = flat(array)
        padded.append(vectors)
    result = np.empty_like(padded[0])
    kernel(*padded, result, result.size, *settings)
    shaped: NDArray = result[: arrays[0].size].reshape(shape)[()]  # one number if one was given
    return shaped


def relu(x: ArrayLike) -> NDArray:
    """Compute y = max(x, 0), element by element; NaN stays NaN. `x`: array_like or one number, any shape."""
    return _apply(kernels.relu, {"x": x})


def relu_backward(grad_output: ArrayLike, y: ArrayLike) -> NDArray:
    """dL/dx = dL/dy where y > 0, zero elsewhere; both arrays of one shape and dtype."""
    return _apply(kernels.relu_backward, {"grad_output": grad_output, "y": y})


def leaky_relu(x: ArrayLike, slope: float = 0.01) -> NDArray:
    """Compute y = x where x > 0, slope * x elsewhere; `slope` must be positive."""
    return _apply(kernels.leaky_relu, {"x": x}, _positive(slope))


def leaky_relu_backward(grad_output: ArrayLike, y: ArrayLike, slope: float = 0.01) -> NDArray:
    """dL/dx = dL/dy where y > 0, slope * dL/dy elsewhere."""
    return _apply(kernels.leaky_relu_backward, {"grad_output": grad_output, "y": y}, _positive(slope))


def sigmoid(x: ArrayLike) -> NDArray:
    """Compute y = 1 / (1 + exp(-x))."""
    return _apply(kernels.sigmoid, {"x": x})


def sigmoid_backward(grad_output: ArrayLike, y: ArrayLike) -> NDArray:
    """dL/dx = dL/dy * y (1 - y)."""
    return _apply(kernels.sigmoid_backward, {"grad_output": grad_output, "y": y})


def tanh(x: ArrayLike) -> NDArray:
    """Compute y = tanh(x)."""
    return _apply(kernels.tanh, {"x": x})


def tanh_backward(grad_output: ArrayLike, y: ArrayLike) -> NDArray:
    """dL/dx = dL/dy * (1 - y**2)."""
    return _apply(kernels.tanh_backward, {"grad_output": grad_output, "y": y})


def elu(x: ArrayLike, alpha: float = 1.0) -> NDArray:
    """Compute y = x where x > 0, alpha * (exp(x) - 1) elsewhere; `alpha` must be positive (Clevert et al. 2016)."""
    return _apply(smooth.elu, {"x": x}, 1.0, _positive(alpha, "alpha"))


def elu_backward(grad_output: ArrayLike, y: ArrayLike, alpha: float = 1.0) -> NDArray:
    """dL/dx = dL/dy where y > 0, dL/dy * (y + alpha) elsewhere."""
    return _apply(smooth.elu_backward, {"grad_output": grad_output, "y": y}, 1.0, _positive(alpha, "alpha"))


def silu(x: ArrayLike) -> NDArray:
    """Compute y = x / (1 + exp(-x)), also called swish (Elfwing et al. 2018)."""
    return _apply(smooth.silu, {"x": x})


def silu_backward(grad_output: ArrayLike, x: ArrayLike) -> NDArray:
    """dL/dx = dL/dy * s (1 + x (1 - s)) with s = 1 / (1 + exp(-x))."""
    return _apply(smooth.silu_backward, {"grad_output": grad_output, "x": x})


def gelu(x: ArrayLike) -> NDArray:
    """Compute y = x P(x), P the standard normal distribution function (Hendrycks and Gimpel 2016)."""
    return _apply(smooth.gelu, {"x": x})


def gelu_backward(grad_output: ArrayLike, x: ArrayLike) -> NDArray:
    """dL/dx = dL/dy * (P(x) + x p(x)), p the density."""
    return _apply(smooth.gelu_backward, {"grad_output": grad_output, "x": x})


def softplus(x: ArrayLike, beta: float = 1.0) -> NDArray:
    """Compute y = log(1 + exp(beta x)) / beta; `beta` must be positive."""
    return _apply(smooth.softplus, {"x": x}, _positive(beta, "beta"))


def softplus_backward(grad_output: ArrayLike, y: ArrayLike, beta: float = 1.0) -> NDArray:
    """dL/dx = dL/dy * (1 - exp(-beta y))."""
    return _apply(smooth.softplus_backward, {"grad_output": grad_output, "y": y}, _positive(beta, "beta"))


def _positive(number: float, name: str = "slope") -> float:
    if not number > 0:
        why = " (slope 0 is relu)" if name == "slope" else ""
        raise ArgumentError(f"{name} must be positive; received {number!r}{why}")
    return float(number)
