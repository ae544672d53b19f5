"""A smooth exponential decay; for drops at whole epochs see `step`."""

from __future__ import annotations

from pydantic import Field

from cnntrain.schedules.base import Schedule, ScheduleSettings
from cnntrain.settings import PositiveFloat


class ExponentialSettings(ScheduleSettings):
    """`gamma` is the factor of one epoch."""

    gamma: PositiveFloat = Field(description="Factor of one epoch; it acts evenly at every step.")


class Exponential(Schedule):
    """factor = gamma ^ (step / steps_per_epoch)."""

    name = "exponential"
    Settings = ExponentialSettings

    def decay(self, step: int) -> float:
        return float(self.settings.gamma ** (step / self.steps_per_epoch))
