"""A smooth exponential decay; for drops at whole epochs see `step`."""

from __future__ import annotations

from cnntrain.schedules.base import Schedule, ScheduleSettings
from cnntrain.settings import PositiveFloat


class ExponentialSettings(ScheduleSettings):
    """`gamma` is the factor of one epoch."""

    gamma: PositiveFloat


class Exponential(Schedule):
    """factor = gamma ^ (step / steps_per_epoch)."""

    name = "exponential"
    Settings = ExponentialSettings

    def decay(self, step: int) -> float:
        return float(self.settings.gamma ** (step / self.steps_per_epoch))
