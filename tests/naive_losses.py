"""Slow and obvious losses in float64, each (loss, gradient); like `naive.py` this imports nothing from cnntrain."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def cross_entropy(
    logits: ArrayLike, labels: ArrayLike, label_smoothing: float = 0.0, class_weights: ArrayLike | None = None
) -> tuple[float, Array]:
    """Cross-entropy with the smoothed one-hot target, weighted by class; the mean is by the labels' weights."""
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    classes = logits.shape[1]
    weights = np.ones(classes) if class_weights is None else np.asarray(class_weights, np.float64)
    total, loss, gradient = sum(weights[label] for label in labels), 0.0, np.zeros(logits.shape)
    for n, label in enumerate(labels):
        shifted = logits[n] - logits[n].max()
        log_sum = math.log(np.exp(shifted).sum())
        for k in range(classes):
            share = label_smoothing / classes + (1 - label_smoothing) * (k == label)
            loss += -weights[k] * share * (shifted[k] - log_sum)
            gradient[n, k] -= weights[k] * share
            gradient[n] += weights[k] * share * np.exp(shifted - log_sum)
    return float(loss / total), gradient / total


def hinge(outputs: ArrayLike, labels: ArrayLike, norm: int = 1) -> tuple[float, Array]:
    """Caffe's HingeLoss: the label's output shall be above 1, all others below -1."""
    outputs, labels = np.asarray(outputs, np.float64), np.asarray(labels)
    loss, gradient = 0.0, np.zeros(outputs.shape)
    for n, label in enumerate(labels):
        for k, y in enumerate(outputs[n]):
            sign = 1.0 if k == label else -1.0
            slack = max(0.0, 1.0 - sign * y)
            loss += slack**norm
            if slack > 0:
                gradient[n, k] = -sign if norm == 1 else -2 * sign * slack
    return loss / len(outputs), gradient / len(outputs)


def multi_margin(outputs: ArrayLike, labels: ArrayLike, margin: float = 1.0, norm: int = 1) -> tuple[float, Array]:
    """PyTorch's MultiMarginLoss: the label's output shall exceed each other one by the margin."""
    outputs, labels = np.asarray(outputs, np.float64), np.asarray(labels)
    images, classes = outputs.shape
    loss, gradient = 0.0, np.zeros(outputs.shape)
    for n, label in enumerate(labels):
        for k in range(classes):
            slack = max(0.0, margin - outputs[n, label] + outputs[n, k])
            if k != label and slack > 0:
                slope = 1.0 if norm == 1 else 2 * slack
                loss += slack**norm / classes
                gradient[n, k] += slope / classes
                gradient[n, label] -= slope / classes
    return loss / images, gradient / images
