"""Batch normalisation of NCHW arrays with the statistics of the batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnntrain.errors import ArgumentError
from cnntrain.functional.arrays import block_count, enter, leave, room, same_shape
from cnntrain.functional.first_call import says_when_it_compiles
from cnntrain.functional.forms import Form, images_of, numbers
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.batch_norm import BatchNormalization


@says_when_it_compiles
def batch_norm2d(
    x: ArrayLike, scale: ArrayLike, shift: ArrayLike, *, epsilon: float = 1e-5
) -> tuple[NDArray, NDArray, NDArray]:
    """Bring each channel to mean `shift` and standard deviation `scale`, over images and pixels.

    Parameters
    ----------
    x : array_like, (images, channels, rows, columns)
        float32 or float64; lists, whole numbers and one image as in `conv2d`.
    scale, shift : array_like, same dtype, (channels,)
        One number each for an image (rows, columns).
    epsilon : float
        Added to the variance.

    Returns
    -------
    y : ndarray, shape of x
        scale * (x - mean) / sqrt(variance + epsilon) + shift
    mean, variance : ndarray, shape of scale
        Of the batch; the variance is the biased one.

    Raises
    ------
    ArgumentError
        When arrays do not fit together.

    Notes
    -----
    Ioffe and Szegedy 2015, algorithm 1.
    """
    x, scale, shift = numbers(x=x, scale=scale, shift=shift)
    image, scales, form = _given(x, scale, epsilon)
    shifts = same_shape("shift", shift, scale.shape, "that of scale").reshape(scales.shape)
    shape, dtype = image.shape, image.dtype
    lanes, normalization, output = enter(image), _pass(image), room(shape[0], int(np.prod(shape[1:])), dtype)
    normalization.measure(lanes, shape[0])
    mean, variance = normalization.mean, normalization.variance
    factor = scales / np.sqrt(variance + dtype.type(epsilon))
    normalization.forward(lanes, output, mean, factor, np.ascontiguousarray(shifts), block_count(shape[0]))
    return leave(output, shape).reshape(form.given), mean.reshape(scale.shape)[()], variance.reshape(scale.shape)[()]


@says_when_it_compiles
def batch_norm2d_backward(
    grad_output: ArrayLike, x: ArrayLike, scale: ArrayLike, *, epsilon: float = 1e-5
) -> tuple[NDArray, NDArray, NDArray]:
    """Gradients of a loss L through `batch_norm2d`, mean and variance being functions of x.

    Parameters
    ----------
    grad_output : array_like, shape of x
    x, scale, epsilon
        As in `batch_norm2d`.

    Returns
    -------
    grad_input : ndarray, shape of x
    grad_scale, grad_shift : ndarray, shape of scale

    Raises
    ------
    ArgumentError
        When arrays do not fit together.
    """
    x, scale, grad_output = numbers(x=x, scale=scale, grad_output=grad_output)
    image, scales, form = _given(x, scale, epsilon)
    same_shape("grad_output", grad_output, x.shape, "that of x")
    images, count = image.shape[0], x.dtype.type(x.size // image.shape[1])
    lanes, delta, normalization = enter(image), enter(grad_output.reshape(image.shape)), _pass(image)
    normalization.measure(lanes, images)
    deviation = np.sqrt(normalization.variance + x.dtype.type(epsilon))
    total, product = normalization.sums(delta, lanes, normalization.mean, images)
    grad_input = line_aligned(lanes.size, lanes.dtype)
    normalization.backward_input(
        delta, lanes, grad_input, normalization.mean, scales / deviation,
        total / count, product / (deviation * deviation * count), images,
    )  # fmt: skip
    grad_scale, grad_shift = (product / deviation).reshape(scale.shape)[()], total.copy().reshape(scale.shape)[()]
    return leave(grad_input, image.shape).reshape(form.given), grad_scale, grad_shift


def _given(x: NDArray, scale: NDArray, epsilon: float) -> tuple[NDArray, NDArray, Form]:
    image, form = images_of("x", x)
    channels = image.shape[1]
    same_shape("scale", scale, () if len(form.given) == 2 else (channels,), "one for each channel of x")
    if not epsilon > 0:
        raise ArgumentError(f"epsilon must be positive; received {epsilon!r}")
    return image, scale.reshape(channels), form


def _pass(x: NDArray) -> BatchNormalization:
    images, channels, rows, columns = x.shape
    return BatchNormalization(channels, rows * columns, this_machine().capacity(images, x.dtype), x.dtype)
