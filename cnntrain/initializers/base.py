"""What an initialiser is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cnntrain.settings import Settings


class Initializer(ABC):
    """Draws the initial values of one parameter."""

    name: ClassVar[str]
    Settings: ClassVar[type[Settings]] = Settings
    needs_images: ClassVar[bool] = False  # it computes values from the training images, see `whitening`

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise `ShapeError` if values of this shape cannot be made."""
        return

    @abstractmethod
    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
        """Return values of `shape`, in float64 whatever the network's type, so that both types start alike."""


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (fan in, fan out) of weights (outputs, inputs, rows, columns): connections per output and per input."""
    taps = math.prod(shape[2:])
    return (shape[1] * taps, shape[0] * taps) if len(shape) > 1 else (shape[0], shape[0])
