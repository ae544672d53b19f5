"""What is counted to say how good a classifier is. NumPy only; nothing here knows networks."""

from __future__ import annotations

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


def class_accuracies(confusion: NDArray[np.int64]) -> list[float | None]:
    """Return the share of each class's images that were recognised (its recall); None for a class without images."""
    totals = confusion.sum(axis=1)
    return [int(right) / int(total) if total else None for right, total in zip(np.diag(confusion), totals, strict=True)]


def _check(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ArgumentError(
            f"logits must have shape (images, classes) and labels (images,), got {logits.shape} and {labels.shape}"
        )
    if labels.size and (labels.min() < 0 or labels.max() >= logits.shape[1]):
        raise ArgumentError(f"labels must lie in 0..{logits.shape[1] - 1}, got {labels.min()}..{labels.max()}")
    if not np.isfinite(logits).all():
        raise ArgumentError(f"{int((~np.isfinite(logits).all(axis=1)).sum())} of {len(logits)} images have NaN or inf")
