"""An optimiser: `signum` (Bernstein et al. 2018)."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from cnntrain.optimizers.base import Optimizer, OptimizerSettings, Share, Work


class SignumSettings(OptimizerSettings):
    """YAML keys of `signum`."""

    momentum: Share = Field(0.0, description="Share of the velocity that a step keeps.")


class Signum(Optimizer):
    """Velocity v = momentum v + g + decay w;  w -= rate sign(v)."""

    name = "signum"
    Settings = SignumSettings

    @classmethod
    def slots(cls, settings: Any) -> tuple[str, ...]:
        return ("velocity",)

    def update(self, work: Work, step: int) -> None:
        chunks, (scale, limit) = work
        momentum = self.number(self.settings.momentum)
        for begin, end, rate, decay, l1_decay in zip(*chunks, strict=True):
            w, v = self._values[begin:end], self._kept["velocity"][begin:end]
            g = np.clip(self._gradients[begin:end] * scale, -limit, limit)
            v *= momentum
            v += g + decay * w + l1_decay * np.sign(w)
            w -= rate * np.sign(v)
