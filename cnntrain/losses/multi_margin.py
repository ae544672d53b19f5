"""`multi_margin`: the label's output against each other one."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.losses.base import Loss, LossSettings
from cnntrain.settings import PositiveFloat
from cnntrain.shape import LANES


class MultiMarginSettings(LossSettings):
    """YAML keys of `multi_margin`."""

    main = "margin"
    margin: PositiveFloat = Field(1.0, description="By how much the label's output shall exceed each other one.")
    norm: Literal[1, 2] = Field(1, description="1 adds up the slacks, 2 their squares (PyTorch's p).")


class MultiMargin(Loss):
    """L = 1/classes sum_{j != label} max(0, margin - y_label + y_j)^norm: PyTorch's MultiMarginLoss.

    The multiclass hinge of Weston and Watkins 1999, divided by the number of classes.
    """

    name = "multi_margin"
    Settings = MultiMarginSettings

    def __init__(self, settings: Any, classes: int, blocks: int, dtype: np.dtype) -> None:
        super().__init__(settings, classes, blocks, dtype)
        from cnntrain.kernels.margin_losses import multi_margin

        self._multi_margin = multi_margin

    def compute(self, outputs: NDArray[Any], labels: NDArray[np.int64], blocks: int) -> None:
        """Run the kernel."""
        self._multi_margin(
            outputs, labels, self._losses, self._correct, self.gradient, self.classes,
            self.gradient.dtype.type(self.settings.margin), self.settings.norm == 2,
        )  # fmt: skip

    def decisions(self) -> NDArray[Any] | None:
        """Which slacks are positive; their squares have no kink."""
        positive = self.gradient.reshape(-1, self.classes, LANES)[: self.blocks] != 0
        return None if self.settings.norm == 2 else positive
