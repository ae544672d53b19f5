"""What an optimiser is: a rule that moves all parameters by their gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import CheckpointError
from cnntrain.layers.base import Parameter
from cnntrain.settings import NonNegativeFloat, PositiveFloat, Settings

CHUNK = 4096  # elements of one parameter that one unit of work updates


class OptimizerSettings(Settings):
    """YAML keys of every optimiser."""

    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat = 0.0


class Optimizer(ABC):
    """Updates parameters in place.

    Parameters
    ----------
    settings : OptimizerSettings
        The optimiser's own `Settings`.
    parameters : sequence of Parameter
        Values and gradients must be stretches of two flat arrays, as a `Network` keeps them, in this order.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[OptimizerSettings]]
    slots: ClassVar[tuple[str, ...]] = ()  # names of the arrays kept for each parameter, e.g. "velocity"

    def __init__(self, settings: Any, parameters: Sequence[Parameter]) -> None:
        self.settings = settings
        self._parameters = list(parameters)
        self._values, self._gradients = (_whole([getattr(p, key) for p in parameters]) for key in ("value", "gradient"))
        self._kept = {slot: np.zeros_like(self._values) for slot in self.slots}
        begin, owner, start = [], [], 0
        for index, parameter in enumerate(parameters):
            starts = range(start, start + parameter.value.size, CHUNK)
            begin += list(starts)
            owner += [index] * len(starts)
            start += parameter.value.size
        self._begin = np.array(begin, np.int64)
        self._end = np.array([*begin[1:], start], np.int64)
        dtype = self._values.dtype
        self._rates = np.array([parameters[i].learning_rate for i in owner])
        self._decays = np.array([parameters[i].weight_decay * settings.weight_decay for i in owner], dtype)

    def step(self, learning_rate: float) -> None:
        """Update all parameters with this step's learning rate."""
        self.update(self._begin, self._end, (self._rates * learning_rate).astype(self._values.dtype), self._decays)

    def warm_up(self) -> None:
        """Compile or load the kernel, changing nothing."""
        none = np.empty(0, np.int64)
        self.update(none, none, self._decays[:0], self._decays[:0])

    @abstractmethod
    def update(
        self, begin: NDArray[np.int64], end: NDArray[np.int64], rates: NDArray[Any], decays: NDArray[Any]
    ) -> None:
        """Update elements begin[i] to end[i] with learning rate rates[i] and weight decay decays[i], for all i."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of all kept arrays in canonical shapes and order, as "<slot>/<parameter>"."""
        return {name: parameter.canonical(view) for name, (parameter, view) in self._views().items()}

    def load_state(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state` returned; raises `CheckpointError` if names or shapes differ."""
        views = self._views()
        if tensors.keys() != views.keys():
            wrong = sorted(tensors.keys() ^ views.keys())
            raise CheckpointError(f"the optimiser's tensors do not fit: {', '.join(wrong[:5])}")
        for name, (parameter, view) in views.items():
            if tensors[name].shape != view.shape:
                raise CheckpointError(f"{name} must have shape {view.shape}; received {tensors[name].shape}")
            parameter.assign(view, tensors[name])

    def _views(self) -> dict[str, tuple[Parameter, NDArray[Any]]]:
        views, start = {}, 0
        for parameter in self._parameters:
            stop = start + parameter.value.size
            for slot, array in self._kept.items():
                views[f"{slot}/{parameter.name}"] = (parameter, array[start:stop].reshape(parameter.value.shape))
            start = stop
        return views


def _whole(stretches: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the flat array that these arrays are stretches of, in order and without gaps."""
    whole = stretches[0].base
    position = 0
    for stretch in stretches:
        if stretch.base is not whole or whole is None:
            raise ValueError("parameters must be stretches of one flat array")
        position += stretch.size
    if position != whole.size:
        raise ValueError("parameters must cover the flat array they are stretches of")
    return whole
