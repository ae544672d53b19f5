"""What is counted to say how good a classifier is. NumPy only; nothing here knows networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError


def top_k_correct(logits: NDArray[np.floating], labels: NDArray[np.integer], k: int) -> int:
    """Count the images whose label is among the k largest logits: those of a rank (`ranks`) below k.

    Parameters
    ----------
    logits : ndarray, shape (images, classes)
        Finite values; probabilities do as well.
    labels : ndarray, shape (images,)
        Class indices, 0 to classes - 1.
    k : int
        At least 1; values above the number of classes count as that number.

    Raises
    ------
    ArgumentError
        Shapes that do not fit, a logit that is not finite, a label out of range, k below 1.
    """
    if k < 1:
        raise ArgumentError(f"k must be at least 1, got {k}")
    return int((ranks(logits, labels) < k).sum())


def ranks(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return how many logits stand before that of each image's label.

    Equal logits rank in class order, as in `argmax`; so rank 0 have exactly the images with `argmax(logits) == label`.

    Parameters
    ----------
    logits : ndarray, shape (images, classes)
        Finite values; probabilities do as well.
    labels : ndarray, shape (images,)
        Class indices, 0 to classes - 1.

    Returns
    -------
    ndarray, shape (images,), int64

    Raises
    ------
    ArgumentError
        Shapes that do not fit, a logit that is not finite, a label out of range.
    """
    _check(logits, labels)
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    return ((logits > own) | ((logits == own) & earlier)).sum(axis=1, dtype=np.int64)


@dataclass(frozen=True)
class Confusion:
    """How often an image of one class was taken for which: the pairs that occur alone, as classes may be many.

    Attributes
    ----------
    label, predicted, count : ndarray, shape (pairs,), int64
        In the order of `label`, then of `predicted`.
    classes : int
    """

    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    count: NDArray[np.int64]
    classes: int

    @property
    def images(self) -> NDArray[np.int64]:
        """Images of each class."""
        return self._sums(self.label, self.count)

    @property
    def answers(self) -> NDArray[np.int64]:
        """How many images were taken for each class."""
        return self._sums(self.predicted, self.count)

    @property
    def right(self) -> NDArray[np.int64]:
        """Images of each class that were taken for it."""
        return self._sums(self.label, np.where(self.label == self.predicted, self.count, 0))

    def matrix(self) -> NDArray[np.int64]:
        """Return it with the class i as row and what it was taken for as column, (classes, classes)."""
        whole = np.zeros((self.classes, self.classes), np.int64)
        whole[self.label, self.predicted] = self.count
        return whole

    def mistakes(self) -> list[tuple[int, int, int]]:
        """Return (class, what it was taken for, how often), the most frequent first."""
        wrong = np.flatnonzero(self.label != self.predicted)
        wrong = wrong[np.argsort(-self.count[wrong], kind="stable")]
        columns = (self.label[wrong], self.predicted[wrong], self.count[wrong])
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def _sums(self, place: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
        sums = np.zeros(self.classes, np.int64)
        np.add.at(sums, place, values)
        return sums


def count_confusion(predicted: NDArray[np.integer], labels: NDArray[np.integer], classes: int) -> Confusion:
    """Count how often an image of one class was taken for which.

    Parameters
    ----------
    predicted, labels : ndarray, shape (images,)
        Class indices, 0 to classes - 1.
    classes : int
        Number of classes.

    Raises
    ------
    ArgumentError
        Shapes that do not fit, a class out of range.
    """
    if predicted.shape != labels.shape or labels.ndim != 1:
        raise ArgumentError(f"predicted has shape {predicted.shape} and labels has shape {labels.shape}: not the same")
    for name, values in (("predicted", predicted), ("labels", labels)):
        if values.size and (values.min() < 0 or values.max() >= classes):
            raise ArgumentError(f"{name} must lie in 0..{classes - 1}, got {values.min()}..{values.max()}")
    pairs, count = np.unique(labels.astype(np.int64) * classes + predicted.astype(np.int64), return_counts=True)
    return Confusion(*np.divmod(pairs, classes), count.astype(np.int64), classes)


@dataclass(frozen=True)
class Quality:
    """How well one class, or the classes on average, are recognised; shares of 1.

    Attributes
    ----------
    precision : float or None
        Of the images that were taken for the class, how many are of it; None if none was.
    recall : float or None
        Of the images of the class, how many were taken for it; None if there are none. A class's accuracy.
    f1 : float or None
        Harmonic mean of the two, 2 right / (2 right + wrong + missed); None without both kinds of images.
    """

    precision: float | None
    recall: float | None
    f1: float | None


def class_qualities(confusion: Confusion) -> list[Quality]:
    """Return precision, recall and F1 of each class (van Rijsbergen 1979, chapter 7)."""
    counts = (confusion.right.tolist(), confusion.images.tolist(), confusion.answers.tolist())
    return [
        Quality(_share(right, taken), _share(right, there), _share(2 * right, taken + there))
        for right, there, taken in zip(*counts, strict=True)
    ]


def macro_average(confusion: Confusion) -> Quality:
    """Return the plain means over the classes that have images or answers; what is None there counts as 0.

    As in scikit-learn, whose classes are those that occur. None if there is no image at all.
    """
    occurs = confusion.images + confusion.answers > 0
    return _mean(class_qualities(confusion), occurs.astype(np.float64))


def weighted_average(confusion: Confusion) -> Quality:
    """Return the means over the classes, each weighted with its number of images; what is None counts as 0.

    The weighted recall is the accuracy. None if there is no image at all.
    """
    return _mean(class_qualities(confusion), confusion.images.astype(np.float64))


def _mean(qualities: Sequence[Quality], weights: NDArray[np.float64]) -> Quality:
    def mean(values: list[float | None]) -> float | None:
        total = float(weights.sum())
        pairs = zip(values, weights.tolist(), strict=True)
        return math.fsum((value or 0.0) * weight for value, weight in pairs) / total if total else None

    return Quality(*(mean([getattr(one, key) for one in qualities]) for key in ("precision", "recall", "f1")))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _check(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ArgumentError(
            f"logits must have shape (images, classes) and labels (images,), got {logits.shape} and {labels.shape}"
        )
    if labels.size and (labels.min() < 0 or labels.max() >= logits.shape[1]):
        raise ArgumentError(f"labels must lie in 0..{logits.shape[1] - 1}, got {labels.min()}..{labels.max()}")
    if not np.isfinite(logits).all():
        raise ArgumentError(f"{int((~np.isfinite(logits).all(axis=1)).sum())} of {len(logits)} images have NaN or inf")
