"""Losses of a batch: their mean over the images, and the gradient of that mean."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnntrain.errors import ArgumentError
from cnntrain.functional.arrays import enter, floating, leave, same_shape
from cnntrain.kernels import losses as kernels
from cnntrain.kernels import margin_losses as margin_kernels
from cnntrain.passes.targets import targets


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


def checked_weights(weights: Any, classes: int) -> NDArray[np.float64]:
    """Return class weights as float64 if there is one per class, finite, none negative and one positive."""
    if not isinstance(weights, np.ndarray | list | tuple):
        raise ArgumentError(f"class_weights must be an array or a list; received {type(weights).__name__}")
    try:
        array = np.asarray(weights)
    except ValueError as error:
        raise ArgumentError(f"class_weights must be one number for each class; NumPy says: {error}") from error
    if array.dtype.kind not in "iuf":
        raise ArgumentError(f"class_weights must be numbers; received {array.dtype}")
    same_shape("class_weights", array, (classes,), "one for each class")
    if not (np.isfinite(array).all() and (array >= 0).all() and array.any()):
        raise ArgumentError(f"class_weights must be finite, 0 or more, and not all 0; received {array.tolist()}")
    return array.astype(np.float64)


def cross_entropy(
    logits: NDArray, labels: NDArray, *, label_smoothing: float = 0.0, class_weights: ArrayLike | None = None
) -> tuple[float, NDArray]:
    """Softmax followed by cross-entropy, computed together and stably.

    Parameters
    ----------
    logits : ndarray, float32 or float64, (images, classes)
    labels : ndarray of int, (images,)
        Each in 0 ... classes - 1.
    label_smoothing : float
        0 to 1: share s of each target that is spread evenly over all classes, the label's included (Szegedy et al.
        2016, section 7). Target t_j = w_j ((1 - s) [j = label] + s / classes).
    class_weights : array_like or None
        w_j for each class, 0 or more; None: all 1.

    Returns
    -------
    loss : float
        Sum over the images of -sum_j t_j log softmax(z)_j, divided by the sum of the weights of their labels (as in
        PyTorch): without weights and smoothing the mean of log(sum_j exp(z_j)) - z_label. 0 if that sum is 0.
    grad_logits : ndarray, shape of logits
        (softmax(z)_j sum_k t_k - t_j) / (sum of the weights): without both (softmax(z)_j - [j = label]) / images.

    Raises
    ------
    ArgumentError
        When shapes, types, labels, weights or the smoothing are wrong.
    """
    floating("logits", logits, "images, classes")
    images, classes = logits.shape
    labels = checked_labels("labels", labels, images, classes)
    if isinstance(label_smoothing, bool) or not isinstance(label_smoothing, int | float | np.floating):
        raise ArgumentError(f"label_smoothing must be a number; received {label_smoothing!r}")
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"label_smoothing must be 0 to 1; received {label_smoothing}")
    weights = np.ones(classes) if class_weights is None else checked_weights(class_weights, classes)
    total = float(weights[labels].sum())
    if total == 0:
        return 0.0, np.zeros_like(logits)
    own, spread = (part.astype(logits.dtype) for part in targets(classes, float(label_smoothing), weights))
    z = enter(logits[:, :, None, None])
    losses, correct, gradient = np.empty(images), np.empty(images, np.int64), np.empty_like(z)
    goals = own, spread, logits.dtype.type(total), label_smoothing > 0
    kernels.cross_entropy(z, labels, losses, correct, gradient, goals)
    return float(losses.sum()) / total, _as_images(gradient, images, classes)


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
    y = enter(outputs[:, :, None, None])
    goals = np.zeros_like(y)
    if isinstance(targets, np.ndarray) and targets.dtype.kind in "iu":
        labels = checked_labels("targets", targets, images, classes)
        kernels.one_hot(labels, goals, classes)
    else:
        same_shape("targets", floating("targets", targets, "images, classes", outputs.dtype), outputs.shape, "outputs'")
        labels = np.zeros(images, np.int64)
        goals = enter(targets[:, :, None, None])
    losses, correct, gradient = np.empty(images), np.empty(images, np.int64), np.empty_like(y)
    kernels.quadratic(y, goals, labels, losses, correct, gradient, classes)
    return float(losses.mean()), _as_images(gradient, images, classes)


def hinge(outputs: NDArray, labels: NDArray, *, norm: int = 1) -> tuple[float, NDArray]:
    """Each class against the rest, as in a linear support vector machine (Caffe's HingeLoss).

    Parameters
    ----------
    outputs : ndarray, float32 or float64, (images, classes)
    labels : ndarray of int, (images,)
    norm : int
        1 adds up the slacks, 2 their squares.

    Returns
    -------
    loss : float
        Mean over the images of sum_j max(0, 1 - s_j y_j)**norm; s_j is 1 for the label and -1 for the others.
    grad_outputs : ndarray, shape of outputs
        -s_j / images where the slack is positive (norm 1), or -2 s_j slack_j / images (norm 2).

    Raises
    ------
    ArgumentError
        When shapes, types or labels are wrong, or norm is neither 1 nor 2.
    """
    floating("outputs", outputs, "images, classes")
    images, classes = outputs.shape
    labels, squared = checked_labels("labels", labels, images, classes), _is_squared(norm)
    y = enter(outputs[:, :, None, None])
    losses, correct, gradient = np.empty(images), np.empty(images, np.int64), np.empty_like(y)
    margin_kernels.hinge(y, labels, losses, correct, gradient, classes, squared)
    return float(losses.mean()), _as_images(gradient, images, classes)


def multi_margin(outputs: NDArray, labels: NDArray, *, margin: float = 1.0, norm: int = 1) -> tuple[float, NDArray]:
    """The label's output against each other one (Weston and Watkins 1999; PyTorch's MultiMarginLoss).

    Parameters
    ----------
    outputs : ndarray, float32 or float64, (images, classes)
    labels : ndarray of int, (images,)
    margin : float
        By how much the label's output shall exceed the others; greater than 0.
    norm : int
        1 adds up the slacks, 2 their squares.

    Returns
    -------
    loss : float
        Mean over the images of 1/classes sum_{j != label} max(0, margin - y_label + y_j)**norm.
    grad_outputs : ndarray, shape of outputs
        For j != label 1 / (classes images) where the slack is positive (norm 1), or 2 slack_j / (classes images)
        (norm 2); for the label minus the sum of these.

    Raises
    ------
    ArgumentError
        When shapes, types or labels are wrong, the margin is not positive, or norm is neither 1 nor 2.
    """
    floating("outputs", outputs, "images, classes")
    images, classes = outputs.shape
    labels, squared = checked_labels("labels", labels, images, classes), _is_squared(norm)
    if isinstance(margin, bool) or not isinstance(margin, int | float | np.floating) or not 0 < margin < math.inf:
        raise ArgumentError(f"margin must be a number greater than 0; received {margin!r}")
    y = enter(outputs[:, :, None, None])
    losses, correct, gradient = np.empty(images), np.empty(images, np.int64), np.empty_like(y)
    margin_kernels.multi_margin(y, labels, losses, correct, gradient, classes, y.dtype.type(margin), squared)
    return float(losses.mean()), _as_images(gradient, images, classes)


def _is_squared(norm: int) -> bool:
    if isinstance(norm, bool) or norm not in (1, 2):
        raise ArgumentError(f"norm must be 1 or 2; received {norm!r}")
    return norm == 2


def _as_images(lanes: NDArray, images: int, classes: int) -> NDArray:
    return leave(lanes, (images, classes, 1, 1)).reshape(images, classes)
