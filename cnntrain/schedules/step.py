"""Drops at regular intervals."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from cnntrain.schedules.base import Schedule, ScheduleSettings
from cnntrain.settings import PositiveFloat


class StepSettings(ScheduleSettings):
    """Every how many epochs the learning rate is multiplied by `gamma`."""

    every_epochs: PositiveFloat = Field(description="Epochs from one drop to the next.")
    gamma: PositiveFloat = Field(0.1, description="Factor of each drop.")


class Step(Schedule):
    """factor = gamma ^ floor(epochs since the start of training / every_epochs)."""

    name = "step"
    Settings = StepSettings

    def __init__(self, settings: Any, total_steps: int, steps_per_epoch: int) -> None:
        super().__init__(settings, total_steps, steps_per_epoch)
        self.interval = max(round(settings.every_epochs * steps_per_epoch), 1)

    def decay(self, step: int) -> float:
        drops = (step + self.warmup_steps) // self.interval
        return float(self.settings.gamma**drops)
