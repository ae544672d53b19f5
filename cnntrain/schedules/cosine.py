"""Half a cosine wave down to `final_factor` (Loshchilov and Hutter 2017, SGDR, eq. 5, without restarts)."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from cnntrain.schedules.base import Schedule, ScheduleSettings


class CosineSettings(ScheduleSettings):
    """The factor that is reached at the end of training."""

    final_factor: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="Factor on the learning rate at the end of training."
    )


class Cosine(Schedule):
    """factor = final_factor + (1 - final_factor) * (1 + cos(pi * step / decay_steps)) / 2."""

    name = "cosine"
    Settings = CosineSettings

    def decay(self, step: int) -> float:
        progress = min(step / self.decay_steps, 1.0)
        final: float = self.settings.final_factor
        return final + (1.0 - final) * (1.0 + math.cos(math.pi * progress)) / 2.0
