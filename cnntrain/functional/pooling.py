"""Max-pooling of NCHW arrays, with the mask of winners."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnntrain.errors import ArgumentError
from cnntrain.functional.arrays import block_count, enter, leave, pair, room, same_shape
from cnntrain.functional.first_call import says_when_it_compiles
from cnntrain.functional.forms import images_of, numbers, whole_numbers, without
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


def image_shape(input_shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return (images, channels, rows, columns) of a shape that may leave out the first, or the first two."""
    shape = tuple(int(size) for size in input_shape)
    if not 2 <= len(shape) <= 4 or min(shape) < 1:
        raise ArgumentError(
            f"input_shape must be (images, channels, rows, columns), of one image (channels, rows, columns) or (rows, "
            f"columns); received {input_shape}"
        )
    images, channels, rows, columns = (1,) * (4 - len(shape)) + shape
    return images, channels, rows, columns


def delta_of(grad_output: NDArray, input_shape: tuple[int, ...]) -> NDArray:
    """Return a gradient with all four axes if it has as many as input_shape."""
    if grad_output.ndim != len(input_shape):
        raise ArgumentError(
            f"grad_output must have as many axes as input_shape {tuple(input_shape)}; "
            f"received shape {grad_output.shape}"
        )
    return images_of("grad_output", grad_output)[0]


def check_pooled(grad_output: NDArray, input_shape: tuple[int, ...], rows: Axis, columns: Axis) -> None:
    """Raise `ArgumentError` unless a gradient has the shape of the pooled images."""
    expected = (*(int(size) for size in input_shape[:-2]), rows.count, columns.count)
    same_shape("grad_output", grad_output, expected, "that of the pooled images")


@says_when_it_compiles
def max_pool2d(
    x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Pair = 0, ceil_mode: bool = False
) -> tuple[NDArray, NDArray[np.int64]]:
    """Largest value of each window, and where it was.

    Parameters
    ----------
    x : array_like, (images, channels, rows, columns)
        float32 or float64; lists and whole numbers are computed in float64. One image may come as (channels, rows,
        columns) or (rows, columns); the results have as many axes.
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
    (x,) = numbers(x=x)
    image, form = images_of("x", x)
    rows, columns = pooling_axes(image.shape, kernel_size, stride, padding, ceil_mode)
    n, channels = image.shape[:2]
    blocks = block_count(n)
    shape = (n, channels, rows.count, columns.count)
    output = room(n, channels * rows.count * columns.count, x.dtype)
    taps = np.empty(output.size, np.int16)
    MaxPooling(channels, rows, columns).forward(enter(image), output, taps, blocks)
    r, s = np.divmod(leave(taps, shape).astype(np.int64), columns.taps)
    row = np.arange(rows.count)[:, None] * rows.stride + rows.offset + r
    column = np.arange(columns.count) * columns.stride + columns.offset + s
    mask = row * columns.input_size + column
    return without(leave(output, shape), *form.missing), without(mask, *form.missing)


@says_when_it_compiles
def max_pool2d_backward(
    grad_output: ArrayLike,
    mask: ArrayLike,
    input_shape: tuple[int, ...],
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
) -> NDArray:
    """Route each gradient to the winner of its window; a winner of several windows collects them all.

    Parameters
    ----------
    grad_output : array_like, shape of the output of `max_pool2d`
    mask : array_like of whole numbers, same shape
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
    (grad_output,), mask = numbers(grad_output=grad_output), whole_numbers("mask", mask)
    same_shape("mask", mask, grad_output.shape, "that of grad_output")
    shape = image_shape(input_shape)
    delta = delta_of(grad_output, input_shape)
    mask = mask.reshape(delta.shape)
    # ceil_mode may have been used or not: the output's own size tells
    for ceil_mode in (False, True):
        rows, columns = pooling_axes(shape, kernel_size, stride, padding, ceil_mode)
        if delta.shape == (*shape[:2], rows.count, columns.count):
            break
    else:
        rows, columns = pooling_axes(shape, kernel_size, stride, padding, False)
        check_pooled(grad_output, input_shape, rows, columns)
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
    grad_input = room(shape[0], int(np.prod(shape[1:])), delta.dtype)
    taps = enter((r * columns.taps + s).astype(np.int16))
    MaxPooling(shape[1], rows, columns).backward(enter(delta), taps, grad_input, blocks)
    return leave(grad_input, shape).reshape(input_shape)
