"""Batch normalisation of NCHW arrays with the statistics of the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError
from cnntrain.functional.arrays import block_count, enter, floating, leave, room, same_shape
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.batch_norm import BatchNormalization


def batch_norm2d(
    x: NDArray, scale: NDArray, shift: NDArray, *, epsilon: float = 1e-5
) -> tuple[NDArray, NDArray, NDArray]:
    """Bring each channel to mean `shift` and standard deviation `scale`, over images and pixels.

    Parameters
    ----------
    x : ndarray, float32 or float64, (images, channels, rows, columns)
    scale, shift : ndarray, same dtype, (channels,)
    epsilon : float
        Added to the variance.

    Returns
    -------
    y : ndarray, shape of x
        scale * (x - mean) / sqrt(variance + epsilon) + shift
    mean, variance : ndarray, (channels,)
        Of the batch; the variance is the biased one.

    Raises
    ------
    ArgumentError
        When arrays do not fit together.

    Notes
    -----
    Ioffe and Szegedy 2015, algorithm 1.
    """
    _check(x, scale, epsilon)
    same_shape("shift", floating("shift", shift, "channels", x.dtype), scale.shape, "one for each channel of x")
    lanes, normalization, output = enter(x), _pass(x), room(x.shape[0], int(np.prod(x.shape[1:])), x.dtype)
    normalization.measure(lanes, x.shape[0])
    mean, variance = normalization.mean, normalization.variance
    factor = scale / np.sqrt(variance + x.dtype.type(epsilon))
    normalization.forward(lanes, output, mean, factor, np.ascontiguousarray(shift), block_count(x.shape[0]))
    return leave(output, x.shape), mean, variance


def batch_norm2d_backward(
    grad_output: NDArray, x: NDArray, scale: NDArray, *, epsilon: float = 1e-5
) -> tuple[NDArray, NDArray, NDArray]:
    """Gradients of a loss L through `batch_norm2d`, mean and variance being functions of x.

    Parameters
    ----------
    grad_output : ndarray, shape of x
    x, scale, epsilon
        As in `batch_norm2d`.

    Returns
    -------
    grad_input : ndarray, shape of x
    grad_scale, grad_shift : ndarray, (channels,)

    Raises
    ------
    ArgumentError
        When arrays do not fit together.
    """
    _check(x, scale, epsilon)
    floating("grad_output", grad_output, "images, channels, rows, columns", x.dtype)
    same_shape("grad_output", grad_output, x.shape, "that of x")
    images, count = x.shape[0], x.dtype.type(x.size // x.shape[1])
    lanes, delta, normalization = enter(x), enter(grad_output), _pass(x)
    normalization.measure(lanes, images)
    deviation = np.sqrt(normalization.variance + x.dtype.type(epsilon))
    total, product = normalization.sums(delta, lanes, normalization.mean, images)
    grad_input = line_aligned(lanes.size, lanes.dtype)
    normalization.backward_input(
        delta, lanes, grad_input, normalization.mean, scale / deviation,
        total / count, product / (deviation * deviation * count), images,
    )  # fmt: skip
    return leave(grad_input, x.shape), product / deviation, total.copy()


def _check(x: Any, scale: Any, epsilon: float) -> None:
    floating("x", x, "images, channels, rows, columns")
    same_shape("scale", floating("scale", scale, "channels", x.dtype), (x.shape[1],), "one for each channel of x")
    if not epsilon > 0:
        raise ArgumentError(f"epsilon must be positive; received {epsilon!r}")


def _pass(x: NDArray) -> BatchNormalization:
    images, channels, rows, columns = x.shape
    return BatchNormalization(channels, rows * columns, this_machine().capacity(images, x.dtype), x.dtype)
