"""What a network keeps: arrays that are learned, and arrays that are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class Changes:
    """How often a network's state has changed: what was made of its parameters before is made anew.

    Whoever writes into a parameter's value, or a statistic's, by himself adds one. Optimisers and `Network` do.
    """

    count: int = 0


@dataclass
class Parameter:
    """A learned array with its gradient.

    Attributes
    ----------
    name : str
        The layer's path and the tensor's name, e.g. "0.conv2d.weight".
    value, gradient : ndarray
        As the kernels use them: in canonical shape, the last axis in the order `order`.
    learning_rate, weight_decay : float
        Factors on the optimiser's settings.
    order : ndarray of int or None
        Canonical index of each element along the last axis; None where kernels use the canonical order itself.
    frozen : bool
        The value never changes: the learning rate is zero, and the gradient is not computed and stays zero.
    epochs : float or None
        It learns in the first so many epochs of a training only; None: always.
    whole_schedule : bool
        The schedule runs through in these epochs, instead of being cut off by their end.
    changes : Changes
        Of the network that has the parameter.
    """

    name: str
    value: NDArray[Any]
    gradient: NDArray[Any]
    learning_rate: float = 1.0
    weight_decay: float = 1.0
    order: NDArray[np.intp] | None = None
    frozen: bool = False
    epochs: float | None = None
    whole_schedule: bool = False
    changes: Changes = field(default_factory=Changes)

    def canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a copy of `value`, or of an array like it, in canonical order: that of PyTorch and ONNX."""
        if self.order is None:
            return array.copy()
        result = np.empty_like(array)
        result[..., self.order] = array
        return result

    def assign(self, array: NDArray[Any], canonical: NDArray[Any]) -> None:
        """Write an array in canonical order to `array`, which is `value` or like it."""
        array[...] = canonical if self.order is None else canonical[..., self.order]


@dataclass
class Statistic:
    """An array that is not learned but belongs to the layer's state, like the running mean of `batch_norm2d`.

    It is part of `Network.state` and of checkpoints; no optimiser sees it. `name` is formed like a parameter's.
    """

    name: str
    value: NDArray[Any]
