"""`cross_entropy`: softmax and cross-entropy together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels import losses as kernels
from cnntrain.losses.base import Loss


class CrossEntropy(Loss):
    """L = log(sum_j exp(z_j)) - z_label; the network ends without a softmax of its own."""

    name = "cross_entropy"

    def compute(self, outputs: NDArray[Any], labels: NDArray[np.int64], blocks: int) -> None:
        """Run the kernel."""
        kernels.cross_entropy(
            outputs, labels, self._losses, self._correct, self.gradient, blocks, self.classes, labels.size
        )
