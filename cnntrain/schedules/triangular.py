"""One cycle: up to the full learning rate, and down to almost nothing (Smith 2018)."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from cnntrain.schedules.base import Schedule, ScheduleSettings

Factor = Annotated[float, Field(ge=0, le=1)]


class TriangularSettings(ScheduleSettings):
    """Where the peak lies, where the two slopes begin and end, and their shape."""

    peak: Factor = Field(0.3, description="Where in the training the full learning rate is reached: 0 start, 1 end.")
    start_factor: Factor = Field(0.04, description="Factor on the learning rate at the first step.")
    final_factor: Factor = Field(0.0, description="Factor at the last step.")
    shape: Literal["linear", "cosine"] = Field("linear", description="Straight slopes, or half waves of a cosine.")


class Triangular(Schedule):
    """factor rises from start_factor to 1 at step peak * steps - 1 and falls to final_factor at the last step.

    The steps of PyTorch's OneCycleLR: its div_factor is 1 / start_factor, and its final_div_factor start_factor /
    final_factor.
    """

    name = "triangular"
    Settings = TriangularSettings

    def decay(self, step: int) -> float:
        top, last = max(self.settings.peak * self.decay_steps - 1.0, 0.0), self.decay_steps - 1.0
        if step < top:
            return self._between(self.settings.start_factor, 1.0, step / top)
        if step <= top or last <= top:
            return 1.0
        return self._between(1.0, self.settings.final_factor, min((step - top) / (last - top), 1.0))

    def _between(self, start: float, end: float, progress: float) -> float:
        if self.settings.shape == "cosine":
            progress = (1.0 - math.cos(math.pi * progress)) / 2.0
        return start + (end - start) * progress
