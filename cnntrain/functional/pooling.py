"""Max-pooling of NCHW arrays, with the mask of winners."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError
from cnntrain.functional.arrays import block_count, enter, floating, leave, pair, room, same_shape
from cnntrain.kernels.geometry import Axis
from cnntrain.passes.pooling import MaxPooling
from cnntrain.passes.problem import pooling_axis

Pair = int | tuple[int, int]


def pooling_axes(
    shape: tuple[int, ...], kernel_size: Pair, stride: Pair | None, padding: Pair, ceil_mode: bool
) -> tuple[Axis, Axis]:
    """Return the windows along rows and columns of images of a shape; raises `ArgumentError` when they do not fit."""
    taps, paddings = pair("kernel_size", kernel_size, 1), pair("padding", padding, 0)
    strides = taps if stride is None else pair("stride", stride, 1)
    if taps[0] * taps[1] > np.iinfo(np.int16).max:
        raise ArgumentError(
            f"kernel_size must have at most {np.iinfo(np.int16).max} positions; received {taps[0]}x{taps[1]}"
        )
    axes = []
    for i, word in enumerate(("rows", "columns")):
        if paddings[i] > taps[i] // 2:
            raise ArgumentError(f"padding must be at most half of kernel_size {taps[i]}; received {paddings[i]}")
        axis = pooling_axis(shape[2 + i], taps[i], strides[i], paddings[i], ceil_mode)
        if axis.count < 1:
            raise ArgumentError(
                f"kernel_size does not fit: {taps[i]} {word} on an image with {shape[2 + i]} and padding {paddings[i]}"
            )
        axes.append(axis)
    return axes[0], axes[1]


def max_pool2d(
    x: NDArray, kernel_size: Pair, *, stride: Pair | None = None, padding: Pair = 0, ceil_mode: bool = False
) -> tuple[NDArray, NDArray[np.int64]]:
    """Largest value of each window, and where it was.

    Parameters
    ----------
    x : ndarray, float32 or float64, (images, channels, rows, columns)
    kernel_size : int or (rows, columns)
    stride : int or (rows, columns), optional
        kernel_size when not given; smaller strides make windows overlap.
    padding : int or (rows, columns)
        At most half of kernel_size; padding never wins.
    ceil_mode : bool
        Round the output size up: the last windows may hang over the edge.

    Returns
    -------
    y : ndarray, (images, channels, output rows, output columns)
    mask : ndarray of int64, same shape
        Flat index row * columns + column of the winner in the input plane. Ties: the first. NaN wins.

    Raises
    ------
    ArgumentError
        When the window does not fit.
    """
    floating("x", x, "images, channels, rows, columns")
    rows, columns = pooling_axes(x.shape, kernel_size, stride, padding, ceil_mode)
    n, channels = x.shape[:2]
    blocks = block_count(n)
    shape = (n, channels, rows.count, columns.count)
    output = room(n, channels * rows.count * columns.count, x.dtype)
    taps = np.empty(output.size, np.int16)
    MaxPooling(channels, rows, columns).forward(enter(x), output, taps, blocks)
    r, s = np.divmod(leave(taps, shape).astype(np.int64), columns.taps)
    row = np.arange(rows.count)[:, None] * rows.stride + rows.offset + r
    column = np.arange(columns.count) * columns.stride + columns.offset + s
    return leave(output, shape), row * columns.input_size + column


def max_pool2d_backward(
    grad_output: NDArray,
    mask: NDArray[np.int64],
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
) -> NDArray:
    """Route each gradient to the winner of its window; a winner of several windows collects them all.

    Parameters
    ----------
    grad_output : ndarray, float32 or float64, (images, channels, output rows, output columns)
    mask : ndarray of int64, same shape
        From `max_pool2d`.
    input_shape : tuple of int
        Shape of the x of `max_pool2d`.
    kernel_size, stride, padding
        As in `max_pool2d`.

    Returns
    -------
    ndarray of input_shape

    Raises
    ------
    ArgumentError
        When shapes do not fit, or the mask names a pixel outside its window.
    """
    floating("grad_output", grad_output, "images, channels, rows, columns")
    shape = tuple(int(size) for size in input_shape)
    if len(shape) != 4 or min(shape) < 1:
        raise ArgumentError(f"input_shape must be (images, channels, rows, columns); received {input_shape}")
    if not isinstance(mask, np.ndarray) or mask.dtype != np.int64:
        raise ArgumentError(f"mask must be an int64 array; received {_kind(mask)}")
    same_shape("mask", mask, grad_output.shape, "that of grad_output")
    # ceil_mode may have been used or not: the output's own size tells
    for ceil_mode in (False, True):
        rows, columns = pooling_axes(shape, kernel_size, stride, padding, ceil_mode)
        if grad_output.shape == (*shape[:2], rows.count, columns.count):
            break
    else:
        rows, columns = pooling_axes(shape, kernel_size, stride, padding, False)
        same_shape("grad_output", grad_output, (*shape[:2], rows.count, columns.count), "that of the pooled images")
    r = mask // columns.input_size - (np.arange(rows.count)[:, None] * rows.stride + rows.offset)
    s = mask % columns.input_size - (np.arange(columns.count) * columns.stride + columns.offset)
    in_image = (mask >= 0) & (mask < rows.input_size * columns.input_size)
    inside = in_image & (r >= 0) & (r < rows.taps) & (s >= 0) & (s < columns.taps)
    if not inside.all():
        where = tuple(int(i) for i in np.argwhere(~inside)[0])
        raise ArgumentError(
            f"mask names pixel {mask[where]} at {where}, outside that window of a {rows.input_size}x"
            f"{columns.input_size} image; it must come from max_pool2d with the same settings"
        )
    blocks = block_count(shape[0])
    grad_input = room(shape[0], int(np.prod(shape[1:])), grad_output.dtype)
    taps = enter((r * columns.taps + s).astype(np.int16))
    MaxPooling(shape[1], rows, columns).backward(enter(grad_output), taps, grad_input, blocks)
    return leave(grad_input, shape)


def _kind(value: Any) -> str:
    return str(value.dtype) if isinstance(value, np.ndarray) else type(value).__name__
