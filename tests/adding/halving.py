"""A schedule: `halving`."""

from __future__ import annotations

from pydantic import Field

from cnntrain.schedules.base import Schedule, ScheduleSettings
from cnntrain.settings import PositiveInt


class HalvingSettings(ScheduleSettings):
    """YAML keys of `halving`."""

    main = "every_epochs"
    every_epochs: PositiveInt = Field(description="Epochs from one halving to the next.")


class Halving(Schedule):
    """factor = 2 ^ -(halvings so far)."""

    name = "halving"
    Settings = HalvingSettings

    def decay(self, step: int) -> float:
        return float(2.0 ** -(step // self.steps_of(self.settings.every_epochs)))
