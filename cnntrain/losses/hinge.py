"""`hinge`: each class against the rest, as in a linear support vector machine."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.losses.base import Loss, LossSettings
from cnntrain.shape import LANES


class HingeSettings(LossSettings):
    """YAML keys of `hinge`."""

    main = "norm"
    norm: Literal[1, 2] = Field(1, description="1 adds up the slacks, 2 their squares (Caffe's L1 and L2).")


class Hinge(Loss):
    """L = sum_j max(0, 1 - s_j y_j)^norm, s_j = 1 for the label and -1 for the others: Caffe's HingeLoss.

    Rifkin and Klautau 2004 defend one against the rest; norm 2 is Tang's (2013) for deep networks. For the label
    against each other class see `multi_margin`.
    """

    name = "hinge"
    Settings = HingeSettings

    def __init__(self, settings: Any, classes: int, blocks: int, dtype: np.dtype) -> None:
        super().__init__(settings, classes, blocks, dtype)
        from cnntrain.kernels.margin_losses import hinge

        self._hinge = hinge

    def compute(self, outputs: NDArray[Any], labels: NDArray[np.int64], blocks: int) -> None:
        """Run the kernel."""
        self._hinge(
            outputs, labels, self._losses, self._correct, self.gradient, self.classes, self.settings.norm == 2
        )  # fmt: skip

    def decisions(self) -> NDArray[Any] | None:
        """Which slacks are positive; their squares have no kink."""
        positive = self.gradient.reshape(-1, self.classes, LANES)[: self.blocks] != 0
        return None if self.settings.norm == 2 else positive
