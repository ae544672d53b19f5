"""Caffe's `inv` policy (Jia et al. 2014)."""

from __future__ import annotations

from pydantic import Field

from cnntrain.schedules.base import Schedule, ScheduleSettings
from cnntrain.settings import PositiveFloat


class InverseSettings(ScheduleSettings):
    """`gamma` is per step, as in Caffe."""

    gamma: PositiveFloat = Field(description="How fast the rate falls, per step.")
    power: PositiveFloat = Field(description="Exponent of the fall.")


class Inverse(Schedule):
    """factor = (1 + gamma * step) ^ -power."""

    name = "inverse"
    Settings = InverseSettings

    def decay(self, step: int) -> float:
        return float((1.0 + self.settings.gamma * step) ** -self.settings.power)
