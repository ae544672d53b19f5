"""Caffe's `poly` policy: down to zero at the end of training; linear with power 1."""

from __future__ import annotations

from pydantic import Field

from cnntrain.schedules.base import Schedule, ScheduleSettings
from cnntrain.settings import PositiveFloat


class PolynomialSettings(ScheduleSettings):
    """The exponent."""

    power: PositiveFloat = Field(1.0, description="Exponent; 1 is a straight line.")


class Polynomial(Schedule):
    """factor = (1 - step / decay_steps) ^ power."""

    name = "polynomial"
    Settings = PolynomialSettings

    def decay(self, step: int) -> float:
        left = max(1.0 - step / self.decay_steps, 0.0)
        return float(left**self.settings.power)
