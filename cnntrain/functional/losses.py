"""Losses of a batch: their mean over the images, and the gradient of that mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError
from cnntrain.functional.arrays import block_count, enter, floating, leave, same_shape
from cnntrain.kernels import losses as kernels


def checked_labels(name: str, labels: NDArray, images: int, classes: int) -> NDArray[np.int64]:
    """Return labels as int64 if there is one for each image and all lie in 0 ... classes - 1."""
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        received = labels.dtype if isinstance(labels, np.ndarray) else type(labels).__name__
        raise ArgumentError(f"{name} must be an array of whole numbers; received {received}")
    same_shape(name, labels, (images,), "one for each image")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise ArgumentError(
            f"{name} must lie in 0 ... {classes - 1} ({classes} classes); received {labels[wrong[0]]} at {wrong[0]}"
        )
    return labels.astype(np.int64)


def cross_entropy(logits: NDArray, labels: NDArray) -> tuple[float, NDArray]:
    """Softmax followed by cross-entropy, computed together and stably.

    Parameters
    ----------
    logits : ndarray, float32 or float64, (images, classes)
    labels : ndarray of int, (images,)
        Each in 0 ... classes - 1.

    Returns
    -------
    loss : float
        Mean over the images of log(sum_j exp(z_j)) - z_label.
    grad_logits : ndarray, shape of logits
        (softmax(z)_j - [j = label]) / images.

    Raises
    ------
    ArgumentError
        When shapes, types or labels are wrong.
    """
    floating("logits", logits, "images, classes")
    images, classes = logits.shape
    labels = checked_labels("labels", labels, images, classes)
    z = enter(logits[:, :, None, None])
    losses, correct, gradient = np.empty(images), np.empty(images, np.int64), np.empty_like(z)
    kernels.cross_entropy(z, labels, losses, correct, gradient, block_count(images), classes, images)
    return float(losses.mean()), leave(gradient, (images, classes, 1, 1)).reshape(images, classes)


def mse(outputs: NDArray, targets: NDArray) -> tuple[float, NDArray]:
    """Quadratic cost C = 1/(2 images) sum ||outputs - targets||**2 (Nielsen 2015, chapter 1).

    Parameters
    ----------
    outputs : ndarray, float32 or float64, (images, classes)
    targets : ndarray
        (images, classes) of the same dtype, or labels (images,) of whole numbers, taken as one-hot.

    Returns
    -------
    loss : float
    grad_outputs : ndarray, shape of outputs
        (outputs - targets) / images.

    Raises
    ------
    ArgumentError
        When shapes, types or labels are wrong.
    """
    floating("outputs", outputs, "images, classes")
    images, classes = outputs.shape
    blocks = block_count(images)
    y = enter(outputs[:, :, None, None])
    goals = np.zeros_like(y)
    if isinstance(targets, np.ndarray) and targets.dtype.kind in "iu":
        labels = checked_labels("targets", targets, images, classes)
        kernels.one_hot(labels, goals, blocks, classes, images)
    else:
        same_shape("targets", floating("targets", targets, "images, classes", outputs.dtype), outputs.shape, "outputs'")
        labels = np.zeros(images, np.int64)
        goals = enter(targets[:, :, None, None])
    losses, correct, gradient = np.empty(images), np.empty(images, np.int64), np.empty_like(y)
    kernels.quadratic(y, goals, labels, losses, correct, gradient, blocks, classes, images)
    return float(losses.mean()), leave(gradient, (images, classes, 1, 1)).reshape(images, classes)
