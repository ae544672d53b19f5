"""What a loss is: a number per image, and the gradient of their mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError, ShapeError
from cnntrain.layers.base import LANES
from cnntrain.settings import Settings


class LossSettings(Settings):
    """YAML keys of a loss."""

    def check(self, classes: int) -> None:
        """Raise `ShapeError` where the settings do not fit the number of classes."""


class Loss(ABC):
    """A loss at work on outputs (block, class, lane).

    Attributes
    ----------
    gradient : ndarray
        dL/d(outputs), L being the mean over the images of the batch.
    total, weight : float
        Of the last batch: the sum of its images' losses, and what the mean divides it by: their number, or the sum of
        their weights. A mean over several batches is the sum of the one over the sum of the other.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[LossSettings]] = LossSettings

    def __init__(self, settings: Any, classes: int, blocks: int, dtype: np.dtype) -> None:
        try:
            settings.check(classes)
        except ShapeError as error:
            raise ArgumentError(f"{self.name} {error}") from error
        self.settings, self.classes = settings, classes
        self.gradient: NDArray[Any] = np.zeros(blocks * classes * LANES, dtype)
        self.total = self.weight = 0.0
        self._losses = np.zeros(blocks * LANES)
        self._correct = np.zeros(blocks * LANES, np.int64)
        self._images = 0

    def __call__(self, outputs: NDArray[Any], labels: NDArray[np.int64]) -> float:
        """Return the mean loss of the images that `labels` belong to, and fill `gradient`.

        A batch without any weight has the mean 0 and the gradient 0.
        """
        self._images = labels.size
        self.weight = self.total_weight(labels)
        self.compute(outputs, labels, self.blocks)
        self.total = float(self._losses[: self._images].sum())
        if self.weight == 0:
            self.gradient.fill(0)
            return 0.0
        return self.total / self.weight

    @property
    def correct(self) -> int:
        """How many of the last batch's images had their largest output at the label."""
        return int(self._correct[: self._images].sum())

    @property
    def blocks(self) -> int:
        """Blocks of the last batch."""
        return -(-self._images // LANES)

    def total_weight(self, labels: NDArray[np.int64]) -> float:
        """Return the sum of the images' weights in the mean."""
        return float(labels.size)

    def decisions(self) -> NDArray[Any] | None:
        """Return on which smooth piece of the loss each output of the last batch lies, if it has several.

        An array of the shape (block, class, lane), zero in lanes without an image; as `Layer.decisions`.
        """
        return None

    @abstractmethod
    def compute(self, outputs: NDArray[Any], labels: NDArray[np.int64], blocks: int) -> None:
        """Fill `gradient` (of the sum of the losses over `weight`), and one loss and one 0 or 1 per image."""
