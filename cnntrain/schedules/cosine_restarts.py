"""Half cosine waves one after the other (Loshchilov and Hutter 2017, SGDR)."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field, model_validator

from cnntrain.schedules.base import Schedule, ScheduleSettings
from cnntrain.settings import PositiveFloat, PositiveInt


class CosineRestartsSettings(ScheduleSettings):
    """How long a wave is, how the waves grow, and how low they go."""

    main = "epochs"
    epochs: PositiveFloat | None = Field(
        None, description="Length of the first wave; each begins with the full learning rate. Or `steps`."
    )
    steps: PositiveInt | None = Field(None, description="The same as `epochs`, counted in steps.")
    growth: Annotated[float, Field(ge=1, le=1000)] = Field(
        1.0, description="How many times longer each wave is than the last."
    )
    final_factor: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="Factor on the learning rate that a wave goes down to."
    )

    @model_validator(mode="after")
    def _one_length(self) -> CosineRestartsSettings:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("needs either epochs or steps")
        return self


class CosineRestarts(Schedule):
    """factor = final_factor + (1 - final_factor) (1 + cos(pi t / length)) / 2 at step t of a wave (SGDR, eq. 5)."""

    name = "cosine_restarts"
    Settings = CosineRestartsSettings

    def __init__(self, settings: Any, total_steps: int, steps_per_epoch: int) -> None:
        super().__init__(settings, total_steps, steps_per_epoch)
        self.first = settings.steps or self.steps_of(settings.epochs)

    def decay(self, step: int) -> float:
        final: float = self.settings.final_factor
        return final + (1.0 - final) * (1.0 + math.cos(math.pi * self._progress(step))) / 2.0

    def _progress(self, step: int) -> float:
        """Return how much of its wave has passed at a step, 0 to 1."""
        growth: float = self.settings.growth
        wave = step // self.first
        if growth > 1.0:  # the begin of a wave solved for its number; rounding may be off by one
            wave = math.floor(math.log1p(step / self.first * (growth - 1.0)) / math.log(growth))
            wave = next(n for n in (wave + 1, wave, wave - 1) if self._begin(n) <= step)
        begin = self._begin(wave)
        return (step - begin) / (self._begin(wave + 1) - begin)

    def _begin(self, wave: int) -> int:
        """Return the first step of a wave: first + first growth + first growth**2 + ... before it, to a whole step."""
        growth: float = self.settings.growth
        if growth == 1.0:
            return wave * self.first
        return round(self.first * math.expm1(wave * math.log(growth)) / (growth - 1.0))
