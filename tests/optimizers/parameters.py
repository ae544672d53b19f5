"""Parameters as a network keeps them: stretches of two flat arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.optimizers import OPTIMIZERS, Optimizer
from cnntrain.parameters import Parameter


def parameters(
    values: NDArray[Any],
    shapes: Mapping[str, tuple[int, ...]],
    factors: Mapping[str, tuple[float, float]] | None = None,
) -> list[Parameter]:
    """Cut a copy of `values` into parameters; `factors` are those on the learning rate and on the decay, by name."""
    flat, gradients, made, start = values.copy(), np.zeros_like(values), [], 0
    for name, shape in shapes.items():
        stop = start + int(np.prod(shape))
        rate, decay = (factors or {}).get(name, (1.0, 1.0))
        value, gradient = (array[start:stop].reshape(shape) for array in (flat, gradients))
        made.append(Parameter(name, value, gradient, rate, decay))
        start = stop
    return made


def flat(made: list[Parameter], key: str = "value") -> NDArray[Any]:
    """All values (or gradients) one after the other, copied."""
    return np.concatenate([getattr(parameter, key).ravel() for parameter in made])


def set_gradients(made: list[Parameter], gradients: NDArray[Any]) -> None:
    made[0].gradient.base[...] = gradients  # type: ignore[index]


def optimizer(name: str, made: list[Parameter], **settings: Any) -> Optimizer:
    entry = OPTIMIZERS[name]
    return entry(entry.Settings.model_validate(settings), made)
