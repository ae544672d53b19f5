"""What is counted to say how good a classifier is. NumPy only; nothing here knows networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError


def top_k_correct(logits: NDArray[np.floating], labels: NDArray[np.integer], k: int) -> int:
    """Count the images whose label is among the k largest logits.

    Equal logits rank in class order, as in `argmax`; so `k = 1` counts exactly the images with
    `argmax(logits) == label`.

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
    _check(logits, labels)
    if k < 1:
        raise ArgumentError(f"k must be at least 1, got {k}")
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    rank = ((logits > own) | ((logits == own) & earlier)).sum(axis=1)
    return int((rank < k).sum())


def confusion_matrix(predicted: NDArray[np.integer], labels: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Count how often an image of class i (row) was taken for class j (column).

    Parameters
    ----------
    predicted, labels : ndarray, shape (images,)
        Class indices, 0 to classes - 1.
    classes : int
        Number of classes.

    Returns
    -------
    ndarray, shape (classes, classes), int64
    """
    if predicted.shape != labels.shape or labels.ndim != 1:
        raise ArgumentError(f"predicted has shape {predicted.shape} and labels has shape {labels.shape}: not the same")
    for name, values in (("predicted", predicted), ("labels", labels)):
        if values.size and (values.min() < 0 or values.max() >= classes):
            raise ArgumentError(f"{name} must lie in 0..{classes - 1}, got {values.min()}..{values.max()}")
    flat = labels.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


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


def class_qualities(confusion: NDArray[np.int64]) -> list[Quality]:
    """Return precision, recall and F1 of each class from `confusion_matrix` (van Rijsbergen 1979, chapter 7)."""
    right, images, answers = np.diag(confusion).tolist(), confusion.sum(axis=1).tolist(), confusion.sum(axis=0).tolist()
    return [
        Quality(_share(r, taken), _share(r, there), _share(2 * r, taken + there))
        for r, there, taken in zip(right, images, answers, strict=True)
    ]


def macro_average(confusion: NDArray[np.int64]) -> Quality:
    """Return the plain means over the classes that have images or answers; what is None there counts as 0.

    As in scikit-learn, whose classes are those that occur. None if there is no image at all.
    """
    occurs = confusion.sum(axis=0) + confusion.sum(axis=1) > 0
    return _mean(class_qualities(confusion), occurs.astype(np.float64))


def weighted_average(confusion: NDArray[np.int64]) -> Quality:
    """Return the means over the classes, each weighted with its number of images; what is None counts as 0.

    The weighted recall is the accuracy. None if there is no image at all.
    """
    return _mean(class_qualities(confusion), confusion.sum(axis=1).astype(np.float64))


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
