"""Drops at given epochs or steps."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import Any

from pydantic import Field, model_validator

from cnntrain.schedules.base import Schedule, ScheduleSettings
from cnntrain.settings import PositiveFloat, PositiveInt


class MultiStepSettings(ScheduleSettings):
    """When, in epochs or in steps from the start of training, the learning rate is multiplied by `gamma`."""

    epochs: list[PositiveFloat] | None = Field(
        None, description="Epochs from the start of training after which the rate drops, increasing; or `steps`."
    )
    steps: list[PositiveInt] | None = Field(None, description="The same as `epochs`, counted in steps.")
    gamma: PositiveFloat = Field(0.1, description="Factor of each drop.")

    @model_validator(mode="after")
    def _one_increasing_list(self) -> MultiStepSettings:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("needs either epochs or steps, a list")
        milestones = self.epochs or self.steps or []
        if any(later <= earlier for earlier, later in pairwise(milestones)):
            raise ValueError("needs its epochs or steps in increasing order")
        return self


class MultiStep(Schedule):
    """factor = gamma ^ (milestones reached)."""

    name = "multi_step"
    Settings = MultiStepSettings

    def __init__(self, settings: Any, total_steps: int, steps_per_epoch: int) -> None:
        super().__init__(settings, total_steps, steps_per_epoch)
        self.milestones = settings.steps or [round(epoch * steps_per_epoch) for epoch in settings.epochs or []]

    def decay(self, step: int) -> float:
        drops = bisect_right(self.milestones, step + self.warmup_steps)
        return float(self.settings.gamma**drops)
