"""What curved layers and losses compute, a second time: formulas of docs/mathematics.md and of the papers, in NumPy.

Arrays are float64, (images, channels, rows, columns), of a loss (images, classes).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Parameters = Mapping[str, Array]  # learned arrays and statistics, by their names
Form = Callable[[Array, Any, Parameters], Array]


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def _gelu(x: Array, settings: Any, _: Parameters) -> Array:
    if settings.approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x * 0.5 * (1 + _erf(x / math.sqrt(2)))


def _elu(x: Array, scale: float, alpha: float) -> Array:
    return np.where(x > 0, scale * x, alpha * np.expm1(np.minimum(x, 0)))


def _by_channel(values: Array) -> Array:
    return values.reshape(-1, 1, 1)


def _prelu(x: Array, _: Any, parameters: Parameters) -> Array:
    return np.where(x > 0, x, _by_channel(parameters["slope"]) * x)


def _batch_norm(x: Array, settings: Any, parameters: Parameters) -> Array:
    mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    if settings.frozen:
        mean, variance = parameters["running_mean"], parameters["running_variance"]
    y = (x - _by_channel(mean)) / np.sqrt(_by_channel(variance) + settings.epsilon)
    scale, shift = parameters.get("scale", np.ones(1)), parameters.get("shift", np.zeros(1))
    return _by_channel(scale) * y + _by_channel(shift)


def _local_response(x: Array, settings: Any, _: Parameters) -> Array:
    reach = settings.size // 2
    if settings.region == "across_channels":
        n, widths = settings.size, ((0, 0), (reach, reach), (0, 0), (0, 0))
        places: list[tuple[Any, ...]] = [(c, slice(None), slice(None)) for c in range(settings.size)]
    else:
        n, widths = settings.size**2, ((0, 0), (0, 0), (reach, reach), (reach, reach))
        places = [(slice(None), r, s) for r in range(settings.size) for s in range(settings.size)]
    squares = np.pad(np.square(x), widths)
    sums = np.zeros_like(x)
    for place in places:
        window = tuple(
            slice(None) if isinstance(first, slice) else slice(first, first + size)
            for first, size in zip(place, x.shape[1:], strict=True)
        )
        sums += squares[(slice(None), *window)]
    result: Array = x / (settings.k + settings.alpha / n * sums) ** settings.beta
    return result


LAYER_FORMS: dict[str, Form] = {
    "relu": lambda x, s, p: np.maximum(x, 0),
    "leaky_relu": lambda x, s, p: np.where(x > 0, x, s.slope * x),
    "sigmoid": lambda x, s, p: 1 / (1 + np.exp(-x)),
    "tanh": lambda x, s, p: np.tanh(x),
    "silu": lambda x, s, p: x / (1 + np.exp(-x)),
    "softplus": lambda x, s, p: np.log1p(np.exp(s.beta * x)) / s.beta,
    "elu": lambda x, s, p: _elu(x, 1.0, s.alpha),
    "selu": lambda x, s, p: _elu(x, 1.0507009873554805, 1.0507009873554805 * 1.6732632423543772),
    "gelu": _gelu,
    "prelu": _prelu,
    "batch_norm2d": _batch_norm,
    "local_response_norm": _local_response,
}

LossForm = Callable[[Array, NDArray[np.int64], Any], float]


def _cross_entropy(z: Array, labels: NDArray[np.int64], settings: Any) -> float:
    classes = z.shape[1]
    weights = np.ones(classes) if settings.class_weights is None else np.array(settings.class_weights)
    logs = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    target = settings.label_smoothing / classes + (1 - settings.label_smoothing) * np.eye(classes)[labels]
    total = weights[labels].sum()
    return float(-(weights * target * logs).sum() / total) if total else 0.0


def _mse(z: Array, labels: NDArray[np.int64], settings: Any) -> float:
    return float(0.5 * np.square(z - np.eye(z.shape[1])[labels]).sum() / len(z))


def _hinge(z: Array, labels: NDArray[np.int64], settings: Any) -> float:
    signs = 2 * np.eye(z.shape[1])[labels] - 1
    return float((np.maximum(0, 1 - signs * z) ** settings.norm).sum() / len(z))


def _multi_margin(z: Array, labels: NDArray[np.int64], settings: Any) -> float:
    own = np.take_along_axis(z, labels[:, None], axis=1)
    slack = np.maximum(0, settings.margin - own + z) ** settings.norm * (1 - np.eye(z.shape[1])[labels])
    return float(slack.sum() / z.shape[1] / len(z))


LOSS_FORMS: dict[str, LossForm] = {
    "cross_entropy": _cross_entropy,
    "mse": _mse,
    "hinge": _hinge,
    "multi_margin": _multi_margin,
}
