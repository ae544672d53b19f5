"""Losses of a batch: their mean over the images, and the gradient of that mean."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnntrain.errors import ArgumentError
from cnntrain.functional.arrays import enter, leave, same_shape
from cnntrain.functional.first_call import says_when_it_compiles
from cnntrain.functional.forms import Form, array_of, numbers, whole_numbers, with_axes
from cnntrain.kernels import losses as kernels
from cnntrain.kernels import margin_losses as margin_kernels
from cnntrain.passes.targets import targets


def checked_labels(name: str, labels: ArrayLike, outputs: NDArray, form: Form) -> NDArray[np.int64]:
    """Return labels as int64 if there is one for each image and all lie in 0 ... classes - 1."""
    images, classes = outputs.shape
    array = whole_numbers(name, labels)
    same_shape(name, array, () if form.missing else (images,), "one for each image")
    array = array.reshape(images)
    wrong = np.flatnonzero((array < 0) | (array >= classes))
    if wrong.size:
        raise ArgumentError(
            f"{name} must lie in 0 ... {classes - 1} ({classes} classes); received {array[wrong[0]]} at {wrong[0]}"
        )
    return array


def _outputs_of(name: str, outputs: ArrayLike) -> tuple[NDArray, Form]:
    (array,) = numbers(**{name: outputs})
    return with_axes(name, array, "images, classes", "classes")


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


@says_when_it_compiles
def cross_entropy(
    logits: ArrayLike, labels: ArrayLike, *, label_smoothing: float = 0.0, class_weights: ArrayLike | None = None
) -> tuple[float, NDArray]:
    """Softmax followed by cross-entropy, computed together and stably.

    Parameters
    ----------
    logits : array_like, (images, classes), or (classes,) of one image
        float32 or float64; lists and whole numbers are computed in float64.
    labels : array_like of int, (images,), or one number for one image
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
    outputs, form = _outputs_of("logits", logits)
    classes, targeted = outputs.shape[1], checked_labels("labels", labels, outputs, form)
    if isinstance(label_smoothing, bool) or not isinstance(label_smoothing, int | float | np.floating):
        raise ArgumentError(f"label_smoothing must be a number; received {label_smoothing!r}")
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"label_smoothing must be 0 to 1; received {label_smoothing}")
    weights = np.ones(classes) if class_weights is None else checked_weights(class_weights, classes)
    total = float(weights[targeted].sum())
    if total == 0:
        return 0.0, np.zeros(form.given, outputs.dtype)
    own, spread = (part.astype(outputs.dtype) for part in targets(classes, float(label_smoothing), weights))
    z = enter(outputs[:, :, None, None])
    losses, correct, gradient = np.empty(len(outputs)), np.empty(len(outputs), np.int64), np.empty_like(z)
    goals = own, spread, outputs.dtype.type(total), label_smoothing > 0
    kernels.cross_entropy(z, targeted, losses, correct, gradient, goals)
    return float(losses.sum()) / total, _as_given(gradient, outputs, form)


@says_when_it_compiles
def mse(outputs: ArrayLike, targets: ArrayLike) -> tuple[float, NDArray]:
    """Quadratic cost C = 1/(2 images) sum ||outputs - targets||**2 (Nielsen 2015, chapter 1).

    Parameters
    ----------
    outputs : array_like, (images, classes), or (classes,) of one image
        float32 or float64; lists and whole numbers are computed in float64.
    targets : array_like
        Shape of outputs, same dtype; or with one axis less labels, whole numbers, taken as one-hot.

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
    array, form = _outputs_of("outputs", outputs)
    images, classes = array.shape
    y = enter(array[:, :, None, None])
    goals = np.zeros_like(y)
    given = array_of("targets", targets)
    if given.dtype.kind in "iu" and given.ndim == len(form.given) - 1:
        labels = checked_labels("targets", targets, array, form)
        kernels.one_hot(labels, goals, classes)
    else:
        _, given = numbers(outputs=outputs, targets=targets)
        same_shape("targets", given, form.given, "outputs'")
        labels = np.zeros(images, np.int64)
        goals = enter(given.reshape(images, classes, 1, 1))
    losses, correct, gradient = np.empty(images), np.empty(images, np.int64), np.empty_like(y)
    kernels.quadratic(y, goals, labels, losses, correct, gradient, classes)
    return float(losses.mean()), _as_given(gradient, array, form)


@says_when_it_compiles
def hinge(outputs: ArrayLike, labels: ArrayLike, *, norm: int = 1) -> tuple[float, NDArray]:
    """Each class against the rest, as in a linear support vector machine (Caffe's HingeLoss).

    Parameters
    ----------
    outputs, labels
        As logits and labels of `cross_entropy`.
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
    array, form = _outputs_of("outputs", outputs)
    (images, classes), targeted = array.shape, checked_labels("labels", labels, array, form)
    squared = _is_squared(norm)
    y = enter(array[:, :, None, None])
    losses, correct, gradient = np.empty(images), np.empty(images, np.int64), np.empty_like(y)
    margin_kernels.hinge(y, targeted, losses, correct, gradient, classes, squared)
    return float(losses.mean()), _as_given(gradient, array, form)


@says_when_it_compiles
def multi_margin(outputs: ArrayLike, labels: ArrayLike, *, margin: float = 1.0, norm: int = 1) -> tuple[float, NDArray]:
    """The label's output against each other one (Weston and Watkins 1999; PyTorch's MultiMarginLoss).

    Parameters
    ----------
    outputs, labels
        As logits and labels of `cross_entropy`.
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
    array, form = _outputs_of("outputs", outputs)
    (images, classes), targeted = array.shape, checked_labels("labels", labels, array, form)
    squared = _is_squared(norm)
    if isinstance(margin, bool) or not isinstance(margin, int | float | np.floating) or not 0 < margin < math.inf:
        raise ArgumentError(f"margin must be a number greater than 0; received {margin!r}")
    y = enter(array[:, :, None, None])
    losses, correct, gradient = np.empty(images), np.empty(images, np.int64), np.empty_like(y)
    margin_kernels.multi_margin(y, targeted, losses, correct, gradient, classes, y.dtype.type(margin), squared)
    return float(losses.mean()), _as_given(gradient, array, form)


def _is_squared(norm: int) -> bool:
    if isinstance(norm, bool) or norm not in (1, 2):
        raise ArgumentError(f"norm must be 1 or 2; received {norm!r}")
    return norm == 2


def _as_given(lanes: NDArray, outputs: NDArray, form: Form) -> NDArray:
    return leave(lanes, (*outputs.shape, 1, 1)).reshape(form.given)
