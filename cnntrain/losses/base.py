"""What a loss is: a number per image, and the gradient of their mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cnntrain.layers.base import LANES
from cnntrain.settings import Settings


class Loss(ABC):
    """A loss at work on outputs (block, class, lane).

    Attributes
    ----------
    gradient : ndarray
        dL/d(outputs), L being the mean over the images of the batch.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: Any, classes: int, blocks: int, dtype: np.dtype) -> None:
        self.settings, self.classes = settings, classes
        self.gradient: NDArray[Any] = np.zeros(blocks * classes * LANES, dtype)
        self._losses = np.zeros(blocks * LANES)
        self._correct = np.zeros(blocks * LANES, np.int64)
        self._images = 0

    def __call__(self, outputs: NDArray[Any], labels: NDArray[np.int64]) -> float:
        """Return the mean loss of the images that `labels` belong to, and fill `gradient`."""
        self._images = labels.size
        self.compute(outputs, labels, -(-labels.size // LANES))
        return float(self._losses[: self._images].mean())

    @property
    def correct(self) -> int:
        """How many of the last batch's images had their largest output at the label."""
        return int(self._correct[: self._images].sum())

    @abstractmethod
    def compute(self, outputs: NDArray[Any], labels: NDArray[np.int64], blocks: int) -> None:
        """Fill `gradient`, and one loss and one 0 or 1 per image."""
