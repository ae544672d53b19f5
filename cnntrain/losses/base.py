"""What a loss is: a number per image, and the gradient of their mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError, ShapeError
from cnntrain.losses.mixture import Mixture
from cnntrain.memory import line_aligned
from cnntrain.settings import Settings
from cnntrain.shape import LANES


class LossSettings(Settings):
    """YAML keys of a loss."""

    def resolve(self, class_names: Sequence[str], counts: NDArray[np.int64]) -> LossSettings:
        """Replace words that depend on the data by numbers; raises `ShapeError`.

        Parameters
        ----------
        class_names : sequence of str
        counts : ndarray (classes,)
            int64, training images of each class.
        """
        return self

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
        self.gradient = line_aligned(blocks * classes * LANES, dtype)
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

    def mixed(self, outputs: NDArray[Any], labels: NDArray[np.int64], mixture: Mixture) -> float:
        """As a call with labels, for images that belong to two classes at once (Zhang et al. 2018, section 2).

        L is the sum of w L(label) + (1 - w) L(second label), each divided by the weight of a batch with those labels
        alone. `correct` counts the label with the larger share.
        """
        self(outputs, mixture.labels)
        gradient, correct, weight = self.gradient.copy(), self._correct.copy(), self.weight
        losses = self._losses / (weight or 1.0)
        self(outputs, labels)
        shares = np.ones_like(self._losses)
        shares[: self._images] = mixture.weights
        losses = shares * self._losses / (self.weight or 1.0) + (1 - shares) * losses
        self._correct[:] = np.where(shares >= 0.5, self._correct, correct)
        by_lane = shares.astype(gradient.dtype).reshape(-1, 1, LANES)
        first, second = (array.reshape(-1, self.classes, LANES) for array in (self.gradient, gradient))
        first[:] = by_lane * first + (1 - by_lane) * second
        share = float(np.mean(mixture.weights))
        self.weight = share * self.weight + (1 - share) * weight
        mean = float(losses[: self._images].sum())
        self.total = mean * self.weight
        return mean

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
