"""`mse`: the quadratic cost of the textbook derivations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.losses.base import Loss
from cnntrain.memory import line_aligned


class Mse(Loss):
    """C = 1/2 sum_j (y_j - t_j)^2 with t one-hot (Nielsen 2015, chapter 1)."""

    name = "mse"

    def __init__(self, settings: Any, classes: int, blocks: int, dtype: np.dtype) -> None:
        super().__init__(settings, classes, blocks, dtype)
        from cnntrain.kernels.losses import one_hot, quadratic

        self._one_hot, self._quadratic = one_hot, quadratic
        self._targets = line_aligned(self.gradient.size, self.gradient.dtype)

    def compute(self, outputs: NDArray[Any], labels: NDArray[np.int64], blocks: int) -> None:
        """Make one-hot targets and run the kernel."""
        self._one_hot(labels, self._targets, self.classes)
        self._quadratic(
            outputs, self._targets, labels, self._losses, self._correct, self.gradient, self.classes
        )  # fmt: skip
