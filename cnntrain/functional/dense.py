"""Dense (fully connected) layers on arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnntrain.functional.arrays import block_count, enter, flat, leave, room, same_shape
from cnntrain.functional.first_call import says_when_it_compiles
from cnntrain.functional.forms import Form, bias_of, numbers, with_axes, without
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.dense import Dense


class _Given(NamedTuple):
    """Images and units with all their axes, and which of them came without."""

    x: NDArray
    weight: NDArray
    image: Form
    unit: Form

    def as_given(self, output: NDArray) -> NDArray:
        """Return (images, units) without the axis of images if there was one image, of units if one unit."""
        return without(output, *([0] if self.image.missing else []), *([1] if self.unit.missing else []))


def _given(x: NDArray, weight: NDArray) -> _Given:
    image, image_form = with_axes("x", x, "images, inputs", "inputs")
    units, unit_form = with_axes("weight", weight, "units, inputs", "inputs")
    inputs = image.shape[1]
    if units.shape[1] != inputs:
        shape = (*weight.shape[:-1], inputs)
        same_shape("weight", weight, shape, f"one for each of the {inputs} inputs of x")
    return _Given(image, units, image_form, unit_form)


@says_when_it_compiles
def dense(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> NDArray:
    """Compute y = x weight^T + bias.

    Parameters
    ----------
    x : array_like, (images, inputs), or (inputs,) of one image
        float32 or float64; lists and whole numbers as in `conv2d`.
    weight : array_like, same dtype, (units, inputs), or (inputs,) of one unit
    bias : array_like, same dtype, (units,), optional
        One number for one unit.

    Returns
    -------
    ndarray, (images, units)
        Without the first axis if x was one image, without the second if weight was one unit.

    Raises
    ------
    ArgumentError
        When the arrays do not fit together.
    """
    x, weight, *rest = numbers(x=x, weight=weight, **({} if bias is None else {"bias": bias}))
    given = _given(x, weight)
    (images, inputs), units = given.x.shape, len(given.weight)
    shift = bias_of(rest[0], units, "unit") if rest else np.zeros(units, x.dtype)
    output = room(images, units, x.dtype)
    layer = Dense(inputs, units, this_machine().capacity(images, x.dtype), x.dtype)
    layer.forward(enter(given.x[:, :, None, None]), flat(weight), flat(shift), output, block_count(images))
    return given.as_given(leave(output, (images, units, 1, 1)).reshape(images, units))


@says_when_it_compiles
def dense_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
    """Gradients through `dense`: grad_output weight, grad_output^T x, and grad_output summed over the images.

    Parameters
    ----------
    grad_output : array_like, shape of the output of `dense`
    x, weight
        As in `dense`.

    Returns
    -------
    grad_input, grad_weight, grad_bias : ndarray
        Shapes of x, weight and bias.

    Raises
    ------
    ArgumentError
        When the arrays do not fit together.
    """
    x, weight, grad_output = numbers(x=x, weight=weight, grad_output=grad_output)
    given = _given(x, weight)
    (images, inputs), units = given.x.shape, len(given.weight)
    expected = given.as_given(np.empty((images, units), bool)).shape
    delta = same_shape("grad_output", grad_output, expected, "that of the output of dense").reshape(images, units, 1, 1)
    blocks = block_count(images)
    layer = Dense(inputs, units, this_machine().capacity(images, x.dtype), x.dtype)
    image, lanes = enter(given.x[:, :, None, None]), enter(delta)
    grad_weight, grad_bias = np.empty(weight.size, x.dtype), np.empty(units, x.dtype)
    layer.backward_weight(image, lanes, grad_weight, grad_bias, blocks)
    grad_input = line_aligned(image.size, image.dtype)
    layer.backward_input(lanes, flat(weight), grad_input, blocks)
    return (
        leave(grad_input, (images, inputs, 1, 1)).reshape(x.shape),
        grad_weight.reshape(weight.shape),
        without(grad_bias, *([0] if given.unit.missing else [])),
    )
