"""Activations of arrays of any shape, and their backward passes from y alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError
from cnntrain.functional.arrays import FLOATS, flat, same_shape
from cnntrain.kernels import activations as kernels
from cnntrain.passes.tiling import LANES


def _apply(kernel: Callable[..., None], arrays: dict[str, NDArray], *settings: float) -> NDArray:
    """Run an element-wise kernel on arrays padded to whole lane vectors."""
    shape, dtype = None, None
    padded = []
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype not in FLOATS:
            received = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise ArgumentError(f"{name} must be a float32 or float64 array; received {received}")
        if shape is None:
            shape, dtype = array.shape, array.dtype
        same_shape(name, array, shape, "that of the other array")
        if array.dtype != dtype:
            raise ArgumentError(f"{name} must be {dtype} like the other array; received {array.dtype}")
        vectors = np.zeros(-(-array.size // LANES) * LANES, dtype)
        vectors[: array.size] = flat(array)
        padded.append(vectors)
    result = np.empty_like(padded[0])
    kernel(*padded, result, result.size, *settings)
    assert shape is not None
    return result[: int(np.prod(shape))].reshape(shape)


def relu(x: NDArray) -> NDArray:
    """Y = max(x, 0), element by element; NaN stays NaN. `x`: ndarray, float32 or float64, any shape."""
    return _apply(kernels.relu, {"x": x})


def relu_backward(grad_output: NDArray, y: NDArray) -> NDArray:
    """dL/dx = dL/dy where y > 0, zero elsewhere; both arrays of one shape and dtype."""
    return _apply(kernels.relu_backward, {"grad_output": grad_output, "y": y})


def leaky_relu(x: NDArray, slope: float = 0.01) -> NDArray:
    """Y = x where x > 0, slope * x elsewhere; `slope` must be positive."""
    return _apply(kernels.leaky_relu, {"x": x}, _positive(slope))


def leaky_relu_backward(grad_output: NDArray, y: NDArray, slope: float = 0.01) -> NDArray:
    """dL/dx = dL/dy where y > 0, slope * dL/dy elsewhere."""
    return _apply(kernels.leaky_relu_backward, {"grad_output": grad_output, "y": y}, _positive(slope))


def sigmoid(x: NDArray) -> NDArray:
    """Y = 1 / (1 + exp(-x))."""
    return _apply(kernels.sigmoid, {"x": x})


def sigmoid_backward(grad_output: NDArray, y: NDArray) -> NDArray:
    """dL/dx = dL/dy * y (1 - y)."""
    return _apply(kernels.sigmoid_backward, {"grad_output": grad_output, "y": y})


def tanh(x: NDArray) -> NDArray:
    """Y = tanh(x)."""
    return _apply(kernels.tanh, {"x": x})


def tanh_backward(grad_output: NDArray, y: NDArray) -> NDArray:
    """dL/dx = dL/dy * (1 - y**2)."""
    return _apply(kernels.tanh_backward, {"grad_output": grad_output, "y": y})


def _positive(slope: float) -> float:
    if not slope > 0:
        raise ArgumentError(f"slope must be positive; received {slope!r} (slope 0 is relu)")
    return float(slope)
