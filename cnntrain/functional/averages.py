"""Average-pooling of NCHW arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnntrain.functional.arrays import block_count, enter, leave, room
from cnntrain.functional.first_call import says_when_it_compiles
from cnntrain.functional.forms import images_of, numbers, without
from cnntrain.functional.pooling import Pair, check_pooled, delta_of, image_shape, pooling_axes
from cnntrain.passes.pooling import AveragePooling


@says_when_it_compiles
def avg_pool2d(
    x: ArrayLike,
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
    x : array_like, (images, channels, rows, columns)
        Lists, whole numbers and one image as in `max_pool2d`.
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
    (x,) = numbers(x=x)
    image, form = images_of("x", x)
    rows, columns = pooling_axes(image.shape, kernel_size, stride, padding, ceil_mode)
    shape = (*image.shape[:2], rows.count, columns.count)
    output = room(shape[0], int(np.prod(shape[1:])), x.dtype)
    AveragePooling(shape[1], rows, columns, bool(count_padding)).forward(enter(image), output, block_count(shape[0]))
    return without(leave(output, shape), *form.missing)


@says_when_it_compiles
def avg_pool2d_backward(
    grad_output: ArrayLike,
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
    grad_output : array_like, shape of the output of `avg_pool2d`
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
    (grad_output,) = numbers(grad_output=grad_output)
    shape = image_shape(input_shape)
    delta = delta_of(grad_output, input_shape)
    rows, columns = pooling_axes(shape, kernel_size, stride, padding, ceil_mode)
    check_pooled(grad_output, input_shape, rows, columns)
    grad_input = room(shape[0], int(np.prod(shape[1:])), delta.dtype)
    pooling = AveragePooling(shape[1], rows, columns, bool(count_padding))
    pooling.backward(enter(delta), grad_input, block_count(shape[0]))
    return leave(grad_input, shape).reshape(input_shape)
