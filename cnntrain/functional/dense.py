"""Dense (fully connected) layers on arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.functional.arrays import block_count, enter, flat, floating, leave, room, same_shape
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.dense import Dense


def _check(x: NDArray, weight: NDArray) -> tuple[int, int, int]:
    floating("x", x, "images, inputs")
    floating("weight", weight, "units, inputs", x.dtype)
    same_shape("weight", weight, (weight.shape[0], x.shape[1]), f"units x the {x.shape[1]} inputs of x")
    return x.shape[0], weight.shape[0], x.shape[1]


def dense(x: NDArray, weight: NDArray, bias: NDArray | None = None) -> NDArray:
    """Compute y = x weight^T + bias.

    Parameters
    ----------
    x : ndarray, float32 or float64, (images, inputs)
    weight : ndarray, same dtype, (units, inputs)
    bias : ndarray, same dtype, (units,), optional

    Returns
    -------
    ndarray, (images, units)

    Raises
    ------
    ArgumentError
        When the arrays do not fit together.
    """
    images, units, inputs = _check(x, weight)
    if bias is None:
        bias = np.zeros(units, x.dtype)
    same_shape("bias", floating("bias", bias, "units", x.dtype), (units,), "one for each unit")
    blocks = block_count(images)
    output = room(images, units, x.dtype)
    layer = Dense(inputs, units, this_machine().capacity(images, x.dtype), x.dtype)
    layer.forward(enter(x[:, :, None, None]), flat(weight), flat(bias), output, blocks)
    return leave(output, (images, units, 1, 1)).reshape(images, units)


def dense_backward(grad_output: NDArray, x: NDArray, weight: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Gradients through `dense`: grad_output weight, grad_output^T x, and grad_output summed over the images.

    Parameters
    ----------
    grad_output : ndarray, (images, units)
    x : ndarray, (images, inputs)
    weight : ndarray, (units, inputs)

    Returns
    -------
    grad_input, grad_weight, grad_bias : ndarray
        Shapes of x, weight and bias.

    Raises
    ------
    ArgumentError
        When the arrays do not fit together.
    """
    images, units, inputs = _check(x, weight)
    floating("grad_output", grad_output, "images, units", x.dtype)
    same_shape("grad_output", grad_output, (images, units), "that of the output of dense")
    blocks = block_count(images)
    layer = Dense(inputs, units, this_machine().capacity(images, x.dtype), x.dtype)
    image, delta = enter(x[:, :, None, None]), enter(grad_output[:, :, None, None])
    grad_weight, grad_bias = np.empty(weight.size, x.dtype), np.empty(units, x.dtype)
    layer.backward_weight(image, delta, grad_weight, grad_bias, blocks)
    grad_input = line_aligned(image.size, image.dtype)
    layer.backward_input(delta, flat(weight), grad_input, blocks)
    return (
        leave(grad_input, (images, inputs, 1, 1)).reshape(images, inputs),
        grad_weight.reshape(weight.shape),
        grad_bias,
    )
