"""The slow, obvious reference: float64, plain loops over one image at a time, nothing imported from cnntrain.

Every function is the textbook formula and nothing else: no checks, no blocking, no reordering. Where a gradient is
computed, it is the chain rule applied to the forward loop directly above it ("this output used that input with that
weight, so its gradient goes back to that input times that weight"); that it equals a full convolution with the rotated
filter is for the tests to show. The inner sum over one window is NumPy's, so that the tests stay quick.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Pair = int | tuple[int, int]
Sides = tuple[tuple[int, int], tuple[int, int]]  # ((top, bottom), (left, right))


def pair(value: Pair) -> tuple[int, int]:
    """(rows, columns) of one number or of a pair."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def pad_sides(padding: Pair | str, kernel_size: Pair, dilation: Pair = 1) -> Sides:
    """Zeros before and after the image; "same" puts an odd total's extra zero after it."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(pair(kernel_size), pair(dilation), strict=True)]
        return (totals[0] // 2, totals[0] - totals[0] // 2), (totals[1] // 2, totals[1] - totals[1] // 2)
    assert not isinstance(padding, str)
    rows, columns = pair(padding)
    return (rows, rows), (columns, columns)


def rotate(weight: Array) -> Array:
    """Each filter rotated by 180 degrees."""
    return weight[..., ::-1, ::-1]


def conv2d_output_size(
    size: tuple[int, int], kernel_size: Pair, stride: Pair = 1, padding: Pair | str = 0, dilation: Pair = 1
) -> tuple[int, int]:
    """Rows and columns of a convolution's output; 0 or less where the filter does not fit."""
    sides = pad_sides(padding, kernel_size, dilation)
    spans = [d * (k - 1) + 1 for k, d in zip(pair(kernel_size), pair(dilation), strict=True)]
    rows, columns = (
        (n + sum(side) - span) // s + 1 for n, side, span, s in zip(size, sides, spans, pair(stride), strict=True)
    )
    return rows, columns


# ---- convolution --------------------------------------------------------------------------------------------------


def _windows(
    x: Array, weight: Array, stride: Pair, padding: Pair | str, dilation: Pair, groups: int
) -> Iterator[tuple[tuple[int, int, int], tuple[slice, slice, slice]]]:
    """For one image: each output position (filter, row, column) and the part of the padded image under its window."""
    (rows, columns), (sr, sc), (dr, dc) = weight.shape[-2:], pair(stride), pair(dilation)
    out_rows, out_columns = conv2d_output_size((x.shape[-2], x.shape[-1]), (rows, columns), stride, padding, dilation)
    filters, channels = weight.shape[:2]
    for k in range(filters):
        first = k // (filters // groups) * channels
        for i in range(out_rows):
            for j in range(out_columns):
                row, column = i * sr, j * sc
                yield (
                    (k, i, j),
                    (
                        slice(first, first + channels),
                        slice(row, row + dr * (rows - 1) + 1, dr),
                        slice(column, column + dc * (columns - 1) + 1, dc),
                    ),
                )


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
    mode: str = "cross_correlation",
) -> Array:
    """`z[n, k, i, j] = b[k] + sum over (c, r, s) of w[k, c, r, s] * x[n, c, i*stride + r*dilation, ...]`, zeros around.

    `mode="convolution"` rotates the filter by 180 degrees first.
    """
    x, weight = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    w = rotate(weight) if mode == "convolution" else weight
    sides = pad_sides(padding, (w.shape[2], w.shape[3]), dilation)
    rows, columns = conv2d_output_size((x.shape[2], x.shape[3]), (w.shape[2], w.shape[3]), stride, padding, dilation)
    z = np.zeros((len(x), len(w), rows, columns))
    for n, image in enumerate(x):
        padded = np.pad(image, ((0, 0), *sides))
        for output, window in _windows(image, w, stride, padding, dilation, groups):
            z[(n, *output)] = (w[output[0]] * padded[window]).sum()
    return z if bias is None else z + np.asarray(bias, np.float64)[:, None, None]


def conv2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    *,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
    mode: str = "cross_correlation",
) -> tuple[Array, Array, Array]:
    """The chain rule along the loops of `conv2d`: (grad_input, grad_weight, grad_bias)."""
    grad_output, x, weight = (np.asarray(a, np.float64) for a in (grad_output, x, weight))
    w = rotate(weight) if mode == "convolution" else weight
    (top, bottom), (left, right) = pad_sides(padding, (w.shape[2], w.shape[3]), dilation)
    grad_input, grad_weight = np.zeros(x.shape), np.zeros(w.shape)
    for n, image in enumerate(x):
        padded = np.pad(image, ((0, 0), (top, bottom), (left, right)))
        grad_padded = np.zeros(padded.shape)
        for output, window in _windows(image, w, stride, padding, dilation, groups):
            delta = grad_output[(n, *output)]
            grad_padded[window] += delta * w[output[0]]
            grad_weight[output[0]] += delta * padded[window]
        grad_input[n] = grad_padded[:, top : top + x.shape[2], left : left + x.shape[3]]
    grad_bias = grad_output.sum(axis=(0, 2, 3))
    return grad_input, rotate(grad_weight) if mode == "convolution" else grad_weight, grad_bias


# ---- max-pooling --------------------------------------------------------------------------------------------------


def pool_output_size(size: int, kernel: int, stride: int, before: int, after: int, ceil_mode: bool) -> int:
    """Output size along one axis; with `ceil_mode` the last window must still start in the image or before it."""
    span = size + before + after - kernel
    if not ceil_mode:
        return span // stride + 1
    count = math.ceil(span / stride) + 1
    return count - 1 if (count - 1) * stride >= size + before else count


def max_pool2d(
    x: ArrayLike,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair | str = 0,
    ceil_mode: bool = False,
) -> tuple[Array, NDArray[np.int64]]:
    """Largest value of each window, and its flat index (row * width + column) in the image's plane.

    The padding never wins. Of equal values the first (in row-major order) wins; the first NaN wins over everything.
    """
    x = np.asarray(x, np.float64)
    images, channels, height, width = x.shape
    (rows, columns), (sr, sc) = pair(kernel_size), pair(kernel_size if stride is None else stride)
    (top, bottom), (left, right) = pad_sides(padding, kernel_size)
    out_rows = pool_output_size(height, rows, sr, top, bottom, ceil_mode)
    out_columns = pool_output_size(width, columns, sc, left, right, ceil_mode)
    y = np.zeros((images, channels, out_rows, out_columns))
    mask = np.zeros(y.shape, np.int64)
    for n, c, i, j in np.ndindex(*y.shape):
        winner = None
        for row in range(max(i * sr - top, 0), min(i * sr - top + rows, height)):
            for column in range(max(j * sc - left, 0), min(j * sc - left + columns, width)):
                value = x[n, c, row, column]
                if winner is None or value > x[n, c][winner] or (np.isnan(value) and not np.isnan(x[n, c][winner])):
                    winner = (row, column)
        assert winner is not None, "a window without a single pixel"
        y[n, c, i, j] = x[n, c][winner]
        mask[n, c, i, j] = winner[0] * width + winner[1]
    return y, mask


def max_pool2d_backward(grad_output: ArrayLike, mask: ArrayLike, input_shape: tuple[int, ...]) -> Array:
    """Each gradient goes to the winner of its window; a pixel that won several windows gets the sum."""
    grad_output, mask = np.asarray(grad_output, np.float64), np.asarray(mask)
    grad_input = np.zeros(input_shape)
    for n, c, i, j in np.ndindex(*grad_output.shape):
        row, column = divmod(int(mask[n, c, i, j]), input_shape[3])
        grad_input[n, c, row, column] += grad_output[n, c, i, j]
    return grad_input


# ---- fully connected ----------------------------------------------------------------------------------------------


def dense(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """`z[n, k] = b[k] + sum over i of w[k, i] * x[n, i]`."""
    x, weight = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    z = np.zeros((len(x), len(weight)))
    for n in range(len(x)):
        for k in range(len(weight)):
            z[n, k] = (weight[k] * x[n]).sum()
    return z if bias is None else z + np.asarray(bias, np.float64)


def dense_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike) -> tuple[Array, Array, Array]:
    """The chain rule along the loops of `dense`: (grad_input, grad_weight, grad_bias)."""
    grad_output, x, weight = (np.asarray(a, np.float64) for a in (grad_output, x, weight))
    grad_input, grad_weight = np.zeros(x.shape), np.zeros(weight.shape)
    for n in range(len(x)):
        for k in range(len(weight)):
            grad_input[n] += grad_output[n, k] * weight[k]
            grad_weight[k] += grad_output[n, k] * x[n]
    return grad_input, grad_weight, grad_output.sum(axis=0)


# ---- activations: the backward takes the output y, not the input ----------------------------------------------------


def relu(x: ArrayLike) -> Array:
    """`max(x, 0)`; NaN stays NaN."""
    x = np.asarray(x, np.float64)
    return np.where(x <= 0, 0.0, x)


def relu_backward(grad_output: ArrayLike, y: ArrayLike) -> Array:
    """The gradient passes where the output is positive; at 0 it does not."""
    return np.where(np.asarray(y) > 0, np.asarray(grad_output, np.float64), 0.0)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.01) -> Array:
    """`x` where it is positive, `negative_slope * x` elsewhere."""
    x = np.asarray(x, np.float64)
    return np.where(x > 0, x, negative_slope * x)


def leaky_relu_backward(grad_output: ArrayLike, y: ArrayLike, negative_slope: float = 0.01) -> Array:
    """The gradient times 1 where the output is positive, times `negative_slope` elsewhere."""
    return np.asarray(grad_output, np.float64) * np.where(np.asarray(y) > 0, 1.0, negative_slope)


def sigmoid(x: ArrayLike) -> Array:
    """`1 / (1 + exp(-x))`, from the side on which exp does not overflow."""
    x = np.asarray(x, np.float64)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def sigmoid_backward(grad_output: ArrayLike, y: ArrayLike) -> Array:
    """`grad_output * y * (1 - y)`."""
    y = np.asarray(y, np.float64)
    return np.asarray(grad_output, np.float64) * y * (1.0 - y)


def tanh(x: ArrayLike) -> Array:
    """Hyperbolic tangent."""
    return np.tanh(np.asarray(x, np.float64))


def tanh_backward(grad_output: ArrayLike, y: ArrayLike) -> Array:
    """`grad_output * (1 - y^2)`."""
    y = np.asarray(y, np.float64)
    return np.asarray(grad_output, np.float64) * (1.0 - y * y)


# ---- losses: means over the batch -----------------------------------------------------------------------------------


def cross_entropy(logits: ArrayLike, labels: ArrayLike) -> tuple[float, Array]:
    """`-log softmax(logits)[label]`, and its gradient `(softmax - one_hot) / N`."""
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    loss, grad_logits = 0.0, np.zeros(logits.shape)
    for n, label in enumerate(labels):
        shifted = logits[n] - logits[n].max()
        total = np.exp(shifted).sum()
        loss += math.log(total) - shifted[label]
        grad_logits[n] = np.exp(shifted) / total
        grad_logits[n, label] -= 1.0
    return loss / len(logits), grad_logits / len(logits)


def mse(outputs: ArrayLike, targets: ArrayLike) -> tuple[float, Array]:
    """The quadratic cost `1/(2N) * sum over n of ||y_n - t_n||^2`, and its gradient `(y - t) / N`.

    `targets` has the shape of `outputs`, or holds labels; a label means 1 at its place and 0 elsewhere.
    """
    outputs, wanted = np.asarray(outputs, np.float64), np.asarray(targets)
    if wanted.ndim == 1 and outputs.ndim == 2:
        wanted = np.eye(outputs.shape[1])[wanted]
    difference: Array = outputs - wanted
    return float((difference**2).sum()) / (2 * len(outputs)), difference / len(outputs)


# ---- gradient descent -----------------------------------------------------------------------------------------------


def sgd_step(
    value: Array,
    gradient: Array,
    velocity: Array,
    learning_rate: float,
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> tuple[Array, Array]:
    """One step as PyTorch writes it: the learning rate stays outside the velocity. Returns (value, velocity).

    The velocity starts at zero.
    """
    gradient = gradient + weight_decay * value
    velocity = momentum * velocity + gradient
    direction = gradient + momentum * velocity if nesterov else velocity
    return value - learning_rate * direction, velocity


def caffe_sgd_step(
    value: Array,
    gradient: Array,
    velocity: Array,
    learning_rate: float,
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> tuple[Array, Array]:
    """One step as Caffe writes it: the velocity holds past steps with the learning rate each had.

    The same as `sgd_step` while the learning rate is constant.
    """
    before = velocity
    velocity = momentum * before + learning_rate * (gradient + weight_decay * value)
    update = (1.0 + momentum) * velocity - momentum * before if nesterov else velocity
    return value - update, velocity


# ---- checking -------------------------------------------------------------------------------------------------------


def numeric_gradient(function: Callable[[Array], float], at: Array, h: float = 1e-5) -> Array:
    """Central differences of a scalar function, one entry at a time; the error is about h^2 + 1e-16 / h."""
    at = np.array(at, np.float64)
    gradient = np.zeros(at.shape)
    for index in np.ndindex(*at.shape):
        value = at[index]
        at[index] = value + h
        above = function(at)
        at[index] = value - h
        below = function(at)
        at[index] = value
        gradient[index] = (above - below) / (2 * h)
    return gradient
