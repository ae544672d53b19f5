"""The slow, obvious reference of average-pooling, normalisation, dropout and smooth activations; see `tests.naive`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tests.naive import Array, Pair, pair, pool_output_size

# ---- average-pooling ------------------------------------------------------------------------------------------------


def avg_pool2d(
    x: ArrayLike,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_padding: bool = True,
) -> Array:
    """Mean of each window; `avg_pool2d_weights` says what each pixel counts."""
    x = np.asarray(x, np.float64)
    weights = avg_pool2d_weights(x.shape[2:], kernel_size, stride, padding, ceil_mode, count_padding)
    return np.einsum("ncij,yxij->ncyx", x, weights)


def avg_pool2d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], *args: Any, **settings: Any) -> Array:
    """Each pixel gets its weight in each window times that window's gradient."""
    defaults = {"stride": None, "padding": 0, "ceil_mode": False, "count_padding": True}
    weights = avg_pool2d_weights(input_shape[2:], *args, **{**defaults, **settings})
    return np.einsum("ncyx,yxij->ncij", np.asarray(grad_output, np.float64), weights)


def avg_pool2d_weights(
    size: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair | None,
    padding: Pair,
    ceil_mode: bool,
    count_padding: bool,
) -> Array:
    """Share of input pixel (i, j) in output (y, x), as an array (y, x, i, j).

    What counts is marked in a picture of the padded image: 1 on it (or on the real pixels), 0 beyond.
    """
    taps, strides, pads = pair(kernel_size), pair(kernel_size if stride is None else stride), pair(padding)
    counts = [pool_output_size(size[a], taps[a], strides[a], pads[a], pads[a], ceil_mode) for a in (0, 1)]
    beyond = [(pads[a], pads[a] + taps[a] + strides[a]) for a in (0, 1)]
    real = np.pad(np.ones((size[0], size[1])), beyond)
    counted = np.pad(np.ones((size[0], size[1])), [(p, p) for p in pads], constant_values=1.0)
    counted = np.pad(counted, [(0, b[1] - p) for b, p in zip(beyond, pads, strict=True)])
    weights = np.zeros((*counts, *real.shape))
    for y, x in np.ndindex(*counts):
        window = np.zeros(real.shape)
        window[y * strides[0] : y * strides[0] + taps[0], x * strides[1] : x * strides[1] + taps[1]] = 1
        weights[y, x] = window * real / (window * (counted if count_padding else real)).sum()
    return weights[:, :, pads[0] : pads[0] + size[0], pads[1] : pads[1] + size[1]]


# ---- normalisation --------------------------------------------------------------------------------------------------


def batch_norm2d(x: ArrayLike, scale: ArrayLike, shift: ArrayLike, epsilon: float = 1e-5) -> tuple[Array, Array, Array]:
    """(y, mean, biased variance), statistics per channel over images, rows and columns."""
    x = np.asarray(x, np.float64)
    mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    normalised = (x - mean[:, None, None]) / np.sqrt(variance + epsilon)[:, None, None]
    return normalised * np.asarray(scale)[:, None, None] + np.asarray(shift)[:, None, None], mean, variance


def batch_norm2d_backward(
    grad_output: ArrayLike, x: ArrayLike, scale: ArrayLike, epsilon: float = 1e-5
) -> tuple[Array, Array, Array]:
    """(grad_input, grad_scale, grad_shift): the chain rule along y = scale * n + shift, n = d / s, d = x - mean."""
    g, x = np.asarray(grad_output, np.float64), np.asarray(x, np.float64)
    axes, count = (0, 2, 3), x.shape[0] * x.shape[2] * x.shape[3]
    d = x - x.mean(axis=axes, keepdims=True)
    s = np.sqrt((d * d).mean(axis=axes, keepdims=True) + epsilon)
    grad_n = g * np.asarray(scale)[:, None, None]
    grad_s = -(grad_n * d / s**2).sum(axis=axes, keepdims=True)
    grad_d = grad_n / s + grad_s * d / (s * count)
    grad_input = grad_d - grad_d.mean(axis=axes, keepdims=True)
    return grad_input, (g * d / s).sum(axis=axes), g.sum(axis=axes)


def local_response_norm(x: ArrayLike, size: int, alpha: float, beta: float, k: float, *, across: bool = True) -> Array:
    """`x / (k + alpha / n * sum of squares over n neighbours) ** beta`; what lies outside counts as zero."""
    x = np.asarray(x, np.float64)
    y, reach, count = np.zeros(x.shape), size // 2, size if across else size * size
    for n, c, i, j in np.ndindex(*x.shape):
        if across:
            neighbours = x[n, max(c - reach, 0) : c + reach + 1, i, j]
        else:
            neighbours = x[n, c, max(i - reach, 0) : i + reach + 1, max(j - reach, 0) : j + reach + 1]
        y[n, c, i, j] = x[n, c, i, j] / (k + alpha / count * (neighbours**2).sum()) ** beta
    return y


# ---- dropout --------------------------------------------------------------------------------------------------------


def split_mix_64(state: int, count: int) -> list[int]:
    """The first numbers of SplitMix64 (Steele, Lea and Flood 2014, figure 17) from a state."""
    numbers = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        numbers.append(mix_64(state))
    return numbers


def mix_64(z: int) -> int:
    """The function that makes a number of SplitMix64's state."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


# ---- activations ----------------------------------------------------------------------------------------------------


def elu(x: ArrayLike, alpha: float = 1.0) -> Array:
    """`x` where it is positive, `alpha * (exp(x) - 1)` elsewhere."""
    x = np.asarray(x, np.float64)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def selu(x: ArrayLike) -> Array:
    """ELU with the constants of Klambauer et al. 2017, scaled."""
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def silu(x: ArrayLike) -> Array:
    """`x / (1 + exp(-x))`."""
    return _each(lambda v: v / (1 + math.exp(-v)) if v > -700 else 0.0, x)


def gelu(x: ArrayLike) -> Array:
    """`x` times the probability that a standard normal number is below `x`."""
    return _each(lambda v: v * math.erfc(-v / math.sqrt(2)) / 2, x)


def gelu_tanh(x: ArrayLike) -> Array:
    """The approximation of Hendrycks and Gimpel 2016, with 1 + tanh(u) as 2 / (1 + exp(-2u))."""

    def value(v: float) -> float:
        u = math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)
        return v / (1 + math.exp(-2 * u)) if u > -350 else 0.0

    return _each(value, x)


def softplus(x: ArrayLike, beta: float = 1.0) -> Array:
    """`log(1 + exp(beta x)) / beta`."""
    return _each(lambda v: max(v, 0.0) + math.log1p(math.exp(-abs(beta * v))) / beta, x)


def prelu(x: ArrayLike, slope: ArrayLike) -> Array:
    """`x` where it is positive, the channel's `slope * x` elsewhere."""
    x = np.asarray(x, np.float64)
    return np.where(x > 0, x, np.asarray(slope, np.float64)[:, None, None] * x)


def _each(function: Any, x: ArrayLike) -> Array:
    x = np.asarray(x, np.float64)
    return np.array([function(float(v)) if not math.isnan(v) else math.nan for v in x.ravel()]).reshape(x.shape)
