"""Images that belong to two classes at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mixture:
    """The other labels of a batch of mixed images, and how much of each image is its first self.

    Attributes
    ----------
    labels : ndarray (n,)
        int64, the second labels.
    weights : ndarray (n,)
        0 to 1: an image's loss is weight * L(first label) + (1 - weight) * L(second label).
    """

    labels: NDArray[np.int64]
    weights: NDArray[np.floating]
