"""Drops at regular intervals."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from cnntrain.schedules.base import Schedule, ScheduleSettings
from cnntrain.settings import PositiveFloat, PositiveInt


class StepSettings(ScheduleSettings):
    """Every how many epochs or steps the learning rate is multiplied by `gamma`."""

    every_epochs: PositiveFloat | None = Field(None, description="Epochs from one drop to the next; or `every_steps`.")
    every_steps: PositiveInt | None = Field(
        None, description="The same as `every_epochs`, counted in steps (Caffe: stepsize)."
    )
    gamma: PositiveFloat = Field(0.1, description="Factor of each drop.")

    @model_validator(mode="after")
    def _one_interval(self) -> StepSettings:
        if (self.every_epochs is None) == (self.every_steps is None):
            raise ValueError("needs either every_epochs or every_steps")
        return self


class Step(Schedule):
    """factor = gamma ^ floor(step / steps from one drop to the next), counted from the start of training."""

    name = "step"
    Settings = StepSettings

    def __init__(self, settings: Any, total_steps: int, steps_per_epoch: int) -> None:
        super().__init__(settings, total_steps, steps_per_epoch)
        self.interval = settings.every_steps or self.steps_of(settings.every_epochs)

    def decay(self, step: int) -> float:
        drops = (step + self.warmup_steps) // self.interval
        return float(self.settings.gamma**drops)
