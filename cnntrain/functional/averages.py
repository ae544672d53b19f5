"""Average-pooling of NCHW arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError
from cnntrain.functional.arrays import block_count, enter, floating, leave, room, same_shape
from cnntrain.functional.pooling import Pair, pooling_axes
from cnntrain.passes.pooling import AveragePooling


def avg_pool2d(
    x: NDArray,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_padding: bool = True,
) -> NDArray:
    """Mean of each window.

    Parameters
    ----------
    x : ndarray, float32 or float64, (images, channels, rows, columns)
    kernel_size : int or (rows, columns)
    stride : int or (rows, columns), optional
        kernel_size when not given.
    padding : int or (rows, columns)
        At most half of kernel_size.
    ceil_mode : bool
        Round the output size up: the last windows may hang over the edge.
    count_padding : bool
        Zeros of the padding count in the mean (never what lies beyond it); otherwise only real pixels do.

    Returns
    -------
    ndarray, (images, channels, output rows, output columns)

    Raises
    ------
    ArgumentError
        When the window does not fit.
    """
    floating("x", x, "images, channels, rows, columns")
    rows, columns = pooling_axes(x.shape, kernel_size, stride, padding, ceil_mode)
    shape = (*x.shape[:2], rows.count, columns.count)
    output = room(shape[0], int(np.prod(shape[1:])), x.dtype)
    AveragePooling(shape[1], rows, columns, bool(count_padding)).forward(enter(x), output, block_count(shape[0]))
    return leave(output, shape)


def avg_pool2d_backward(
    grad_output: NDArray,
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_padding: bool = True,
) -> NDArray:
    """Give each pixel its share of the gradients of the windows that it lies in.

    Parameters
    ----------
    grad_output : ndarray, float32 or float64, (images, channels, output rows, output columns)
    input_shape : tuple of int
        Shape of the x of `avg_pool2d`.
    kernel_size, stride, padding, ceil_mode, count_padding
        As in `avg_pool2d`.

    Returns
    -------
    ndarray of input_shape

    Raises
    ------
    ArgumentError
        When shapes do not fit.
    """
    floating("grad_output", grad_output, "images, channels, rows, columns")
    shape = tuple(int(size) for size in input_shape)
    if len(shape) != 4 or min(shape) < 1:
        raise ArgumentError(f"input_shape must be (images, channels, rows, columns); received {input_shape}")
    rows, columns = pooling_axes(shape, kernel_size, stride, padding, ceil_mode)
    same_shape("grad_output", grad_output, (*shape[:2], rows.count, columns.count), "that of the pooled images")
    grad_input = room(shape[0], int(np.prod(shape[1:])), grad_output.dtype)
    pooling = AveragePooling(shape[1], rows, columns, bool(count_padding))
    pooling.backward(enter(grad_output), grad_input, block_count(shape[0]))
    return leave(grad_input, shape)
