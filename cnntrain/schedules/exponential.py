"""A smooth exponential decay; for drops at whole epochs see `step`."""

from __future__ import annotations

from pydantic import Field

from cnntrain.schedules.base import Schedule, ScheduleSettings
from cnntrain.settings import PositiveFloat, PositiveInt


class ExponentialSettings(ScheduleSettings):
    """`gamma` is the factor of one epoch, or of so many steps."""

    gamma: PositiveFloat = Field(description="Factor of one epoch; it acts evenly at every step.")
    per_steps: PositiveInt | None = Field(
        None, description="`gamma` is the factor of so many steps instead of that of one epoch."
    )


class Exponential(Schedule):
    """factor = gamma ^ (step / steps), steps being those of an epoch or `per_steps`."""

    name = "exponential"
    Settings = ExponentialSettings

    def decay(self, step: int) -> float:
        return float(self.settings.gamma ** (step / (self.settings.per_steps or self.steps_per_epoch)))
