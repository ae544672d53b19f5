"""A straight line between two factors."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from cnntrain.schedules.base import Schedule, ScheduleSettings
from cnntrain.settings import NonNegativeFloat, PositiveFloat, PositiveInt


class LinearSettings(ScheduleSettings):
    """From where to where, and over how many epochs or steps."""

    start_factor: NonNegativeFloat = Field(1.0, description="Factor on the learning rate at the first step.")
    final_factor: NonNegativeFloat = Field(0.0, description="Factor that is reached, and kept from then on.")
    epochs: PositiveFloat | None = Field(
        None, description="Epochs that the line takes, after the warm-up; null: to the end of training."
    )
    steps: PositiveInt | None = Field(None, description="The same as `epochs`, counted in steps.")

    @model_validator(mode="after")
    def _one_length(self) -> LinearSettings:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("takes either epochs or steps, not both")
        return self


class Linear(Schedule):
    """factor = start_factor + (final_factor - start_factor) min(step / steps, 1): PyTorch's LinearLR."""

    name = "linear"
    Settings = LinearSettings

    def __init__(self, settings: Any, total_steps: int, steps_per_epoch: int) -> None:
        super().__init__(settings, total_steps, steps_per_epoch)
        self.steps = settings.steps or self.decay_steps
        if settings.epochs is not None:
            self.steps = self.steps_of(settings.epochs)

    def decay(self, step: int) -> float:
        start, final = self.settings.start_factor, self.settings.final_factor
        return float(start + (final - start) * min(step / self.steps, 1.0))
