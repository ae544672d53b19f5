"""Convolution of NCHW arrays, forward and backward."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnntrain.errors import ArgumentError
from cnntrain.functional.arrays import block_count, enter, flat, leave, pair, room, same_shape, whole
from cnntrain.functional.first_call import says_when_it_compiles
from cnntrain.functional.forms import Form, bias_of, images_of, numbers, with_axes, without
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
    if isinstance(padding, str) and padding == "full":
        return (taps - 1) * dilation, (taps - 1) * dilation
    if isinstance(padding, str):
        raise ArgumentError(f'padding must be whole numbers, "same", "valid" or "full"; received {padding!r}')
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


class _Given(NamedTuple):
    """An image and a filter, or many, with all their axes, and which of them came without."""

    x: NDArray
    weight: NDArray
    geometry: ConvolutionGeometry
    image: Form
    filter: Form

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        rows, columns = self.geometry.rows.output_size, self.geometry.columns.output_size
        return self.x.shape[0], self.geometry.filters, rows, columns

    def as_given(self, output: NDArray) -> NDArray:
        """Return an output without the axis of images if there was one image, of filters if one filter."""
        return without(output, *([0] if self.image.missing else []), *([1] if self.filter.missing else []))


def _given(x: NDArray, weight: NDArray, settings: tuple[Any, ...]) -> _Given:
    image, image_form = images_of("x", x)
    filters, filter_form = with_axes(
        "weight", weight, "filters, channels, rows, columns", "channels, rows, columns", "rows, columns"
    )
    geometry = _geometry(image.shape, filters.shape, *settings)
    if filters.shape[1] != geometry.channels // geometry.groups:
        one = f" x of shape {x.shape} is one image." if image_form.missing else ""
        raise ArgumentError(
            f"weight must have {geometry.channels // geometry.groups} channels (the {geometry.channels} of x / "
            f"{geometry.groups} groups); received shape {weight.shape}.{one}"
        )
    return _Given(image, filters, geometry, image_form, filter_form)


@says_when_it_compiles
def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
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
    x : array_like, (images, channels, rows, columns)
        float32 or float64; lists and whole numbers are computed in the type of the float arrays beside them, in float64
        if there are none. One image may come as (channels, rows, columns) or (rows, columns).
    weight : array_like, same dtype, (filters, channels / groups, rows, columns)
        One filter may come as (channels, rows, columns) or (rows, columns).
    bias : array_like, same dtype, (filters,), optional
        One number for one filter.
    stride, dilation : int or (rows, columns)
    padding : int, (rows, columns), "valid", "full" or, at stride 1, "same" (an odd total goes after the image)
        "full": the filter's reach - 1 on every side, (taps - 1) * dilation, so that each overlap counts.
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
        Without the first axis if x was one image, without the second if weight was one filter.

    Raises
    ------
    ArgumentError
        When arrays or numbers do not fit together.

    Notes
    -----
    LeCun et al. 1998, section II; derived in docs/mathematics.md.
    """
    x, weight, *rest = numbers(x=x, weight=weight, **({} if bias is None else {"bias": bias}))
    given = _given(x, weight, (stride, padding, dilation, groups, mode))
    filters, shape = given.geometry.filters, given.output_shape
    shift = bias_of(rest[0], filters, "filter") if rest else np.zeros(filters, x.dtype)
    output = room(shape[0], int(np.prod(shape[1:])), x.dtype)
    passes = _passes(given.geometry, shape[0], x.dtype, convolution)
    passes.forward(enter(given.x), flat(weight), flat(shift), output, block_count(shape[0]))
    return given.as_given(leave(output, shape))


@says_when_it_compiles
def conv2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
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
    grad_output : array_like, shape of the output of `conv2d`
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
        The delta summed over everything but the filters; one number if weight was one filter.

    Raises
    ------
    ArgumentError
        When arrays or numbers do not fit together.

    Notes
    -----
    Derived in docs/mathematics.md.
    """
    x, weight, grad_output = numbers(x=x, weight=weight, grad_output=grad_output)
    given = _given(x, weight, (stride, padding, dilation, groups, mode))
    shape = given.output_shape
    expected = given.as_given(np.empty(shape, bool)).shape
    delta = enter(same_shape("grad_output", grad_output, expected, "that of the output of conv2d").reshape(shape))
    passes, blocks = _passes(given.geometry, shape[0], x.dtype, convolution), block_count(shape[0])
    image = enter(given.x)
    grad_weight, grad_bias = np.empty(weight.size, x.dtype), np.empty(given.geometry.filters, x.dtype)
    passes.backward_weight(image, delta, grad_weight, grad_bias, blocks)
    grad_input = line_aligned(image.size, image.dtype)
    passes.backward_input(delta, flat(weight), grad_input, blocks)
    return (
        leave(grad_input, given.x.shape).reshape(x.shape),
        grad_weight.reshape(weight.shape),
        without(grad_bias, *([0] if given.filter.missing else [])),
    )
