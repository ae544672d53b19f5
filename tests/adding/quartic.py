"""A loss: `quartic`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.losses.base import Loss, LossSettings
from cnntrain.settings import PositiveFloat
from cnntrain.shape import LANES


class QuarticSettings(LossSettings):
    """YAML keys of `quartic`."""

    main = "scale"
    scale: PositiveFloat = Field(1.0, description="Factor on the loss.")


class Quartic(Loss):
    """L = scale / 4 sum_j (y_j - t_j)^4 with t one-hot."""

    name = "quartic"
    Settings = QuarticSettings

    def compute(self, outputs: NDArray[Any], labels: NDArray[np.int64], blocks: int) -> None:
        scale, (block, lane) = self.settings.scale, np.divmod(np.arange(labels.size), LANES)
        y = outputs.reshape(-1, self.classes, LANES)[block, :, lane]
        difference = y - np.eye(self.classes, dtype=y.dtype)[labels]
        self._losses[: labels.size] = scale / 4 * (difference**4).sum(axis=1)
        self._correct[: labels.size] = y.argmax(axis=1) == labels
        self.gradient[:] = 0
        self.gradient.reshape(-1, self.classes, LANES)[block, :, lane] = scale * difference**3 / self.weight
