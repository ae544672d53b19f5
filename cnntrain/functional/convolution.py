"""Convolution of NCHW arrays, forward and backward."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError
from cnntrain.functional.arrays import block_count, enter, flat, floating, leave, pair, room, same_shape, whole
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.convolution import Convolution
from cnntrain.passes.problem import ConvolutionGeometry, Window

Pair = int | tuple[int, int]
Mode = Literal["cross_correlation", "convolution"]
Algorithm = Literal["fastest", "direct"]


def padding_of(padding: Pair | str, taps: int, dilation: int, stride: int, axis: int) -> tuple[int, int]:
    """Return the zeros (before, after) an image along one axis."""
    if isinstance(padding, str) and padding == "valid":
        return 0, 0
    if isinstance(padding, str) and padding == "same":
        if stride != 1:
            raise ArgumentError(f'padding "same" needs stride 1; received stride {stride}')
        total = (taps - 1) * dilation
        return total // 2, total - total // 2
    if isinstance(padding, str):
        raise ArgumentError(f'padding must be whole numbers, "same" or "valid"; received {padding!r}')
    number = pair("padding", padding, 0)[axis]
    return number, number


def _geometry(
    x_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Pair,
    padding: Pair | str,
    dilation: Pair,
    groups: int,
    mode: str,
) -> ConvolutionGeometry:
    strides, dilations, groups = pair("stride", stride, 1), pair("dilation", dilation, 1), whole("groups", groups, 1)
    if mode not in ("cross_correlation", "convolution"):
        raise ArgumentError(f'mode must be "cross_correlation" or "convolution"; received {mode!r}')
    channels, filters = x_shape[1], weight_shape[0]
    if channels % groups or filters % groups:
        raise ArgumentError(
            f"groups must divide the {channels} channels of x and the {filters} filters; received {groups}"
        )
    if weight_shape[1] != channels // groups:
        raise ArgumentError(
            f"weight must have {channels // groups} channels (the {channels} of x / {groups} groups); "
            f"received shape {weight_shape}"
        )
    windows = []
    for axis, word in enumerate(("rows", "columns")):
        taps = weight_shape[2 + axis]
        before, after = padding_of(padding, taps, dilations[axis], strides[axis], axis)
        window = Window(x_shape[2 + axis], taps, strides[axis], before, after, dilations[axis])
        if window.output_size < 1:
            raise ArgumentError(
                f"weight does not fit: its {taps} {word} with dilation {dilations[axis]} reach over "
                f"{(taps - 1) * dilations[axis] + 1}, the padded image has {before + window.input_size + after}"
            )
        windows.append(window)
    return ConvolutionGeometry(channels, filters, windows[0], windows[1], groups=groups, rotated=mode == "convolution")


def _passes(geometry: ConvolutionGeometry, images: int, dtype: np.dtype, convolution: str) -> Convolution:
    if convolution not in ("fastest", "direct"):
        raise ArgumentError(f'convolution must be "fastest" or "direct"; received {convolution!r}')
    return Convolution(geometry, this_machine().capacity(images, dtype), dtype, direct=convolution == "direct")


def conv2d(
    x: NDArray,
    weight: NDArray,
    bias: NDArray | None = None,
    *,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
    mode: Mode = "cross_correlation",
    convolution: Algorithm = "fastest",
) -> NDArray:
    """Slide filters over images: z = bias + sum of weight times window.

    Parameters
    ----------
    x : ndarray, float32 or float64, (images, channels, rows, columns)
    weight : ndarray, same dtype, (filters, channels / groups, rows, columns)
    bias : ndarray, same dtype, (filters,), optional
    stride, dilation : int or (rows, columns)
    padding : int, (rows, columns), "valid" or, at stride 1, "same" (an odd total goes after the image)
    groups : int
        Filters of a group see the channels of that group only.
    mode : "cross_correlation" or "convolution"
        "convolution" rotates the filter by 180° first.
    convolution : "fastest" or "direct"
        "direct" forbids Winograd's algorithm, with which a very large pixel, infinity or NaN disturbs outputs close by
        that do not see it.

    Returns
    -------
    ndarray, (images, filters, output rows, output columns)

    Raises
    ------
    ArgumentError
        When arrays or numbers do not fit together.

    Notes
    -----
    LeCun et al. 1998, section II; derived in docs/mathematics.md.
    """
    floating("x", x, "images, channels, rows, columns")
    floating("weight", weight, "filters, channels, rows, columns", x.dtype)
    geometry = _geometry(x.shape, weight.shape, stride, padding, dilation, groups, mode)
    if bias is None:
        bias = np.zeros(geometry.filters, x.dtype)
    same_shape("bias", floating("bias", bias, "filters", x.dtype), (geometry.filters,), "one for each filter")
    blocks = block_count(x.shape[0])
    shape = (x.shape[0], geometry.filters, geometry.rows.output_size, geometry.columns.output_size)
    output = room(shape[0], int(np.prod(shape[1:])), x.dtype)
    _passes(geometry, shape[0], x.dtype, convolution).forward(enter(x), flat(weight), flat(bias), output, blocks)
    return leave(output, shape)


def conv2d_backward(
    grad_output: NDArray,
    x: NDArray,
    weight: NDArray,
    *,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
    mode: Mode = "cross_correlation",
    convolution: Algorithm = "fastest",
) -> tuple[NDArray, NDArray, NDArray]:
    """Gradients of a loss L through `conv2d`.

    Parameters
    ----------
    grad_output : ndarray, (images, filters, output rows, output columns)
        dL/dz, the delta.
    x, weight, stride, padding, dilation, groups, mode, convolution
        As in `conv2d`.

    Returns
    -------
    grad_input : ndarray, shape of x
        Full convolution of the delta with the filters rotated by 180°, summed over the filters.
    grad_weight : ndarray, shape of weight
        Valid correlation of x with the delta, summed over the images.
    grad_bias : ndarray, (filters,)
        The delta summed over everything but the filters.

    Raises
    ------
    ArgumentError
        When arrays or numbers do not fit together.

    Notes
    -----
    Derived in docs/mathematics.md.
    """
    floating("x", x, "images, channels, rows, columns")
    floating("weight", weight, "filters, channels, rows, columns", x.dtype)
    geometry = _geometry(x.shape, weight.shape, stride, padding, dilation, groups, mode)
    shape = (x.shape[0], geometry.filters, geometry.rows.output_size, geometry.columns.output_size)
    floating("grad_output", grad_output, "images, filters, rows, columns", x.dtype)
    same_shape("grad_output", grad_output, shape, "that of the output of conv2d")
    blocks = block_count(x.shape[0])
    passes = _passes(geometry, shape[0], x.dtype, convolution)
    image, delta = enter(x), enter(grad_output)
    grad_weight, grad_bias = np.empty(weight.size, x.dtype), np.empty(geometry.filters, x.dtype)
    passes.backward_weight(image, delta, grad_weight, grad_bias, blocks)
    grad_input = line_aligned(image.size, image.dtype)
    passes.backward_input(delta, flat(weight), grad_input, blocks)
    return leave(grad_input, x.shape), grad_weight.reshape(weight.shape), grad_bias
