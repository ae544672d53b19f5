"""What cross-entropy compares the probabilities with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def targets(
    classes: int, label_smoothing: float, class_weights: Sequence[float] | NDArray[Any] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the target of a class that is the label, and what every class has besides (float64, one per class).

    The target of class j is own[j] [j = label] + spread[j], with own = (1 - label_smoothing) weight and spread =
    label_smoothing weight / classes, as in PyTorch's `cross_entropy`.
    """
    weights = np.ones(classes) if class_weights is None else np.array(class_weights, np.float64)
    return (1.0 - label_smoothing) * weights, label_smoothing / classes * weights
