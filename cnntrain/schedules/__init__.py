"""Learning-rate schedules; a new one is a file here and a line in `SCHEDULES`."""

from __future__ import annotations

from cnntrain.schedules.base import Schedule
from cnntrain.schedules.constant import Constant
from cnntrain.schedules.cosine import Cosine
from cnntrain.schedules.cosine_restarts import CosineRestarts
from cnntrain.schedules.exponential import Exponential
from cnntrain.schedules.inverse import Inverse
from cnntrain.schedules.linear import Linear
from cnntrain.schedules.multi_step import MultiStep
from cnntrain.schedules.plateau import Plateau
from cnntrain.schedules.polynomial import Polynomial
from cnntrain.schedules.step import Step
from cnntrain.schedules.triangular import Triangular

SCHEDULES: dict[str, type[Schedule]] = {
    schedule.name: schedule
    for schedule in (
        Constant,
        Step,
        MultiStep,
        Exponential,
        Inverse,
        Polynomial,
        Linear,
        Triangular,
        Cosine,
        CosineRestarts,
        Plateau,
    )
}

__all__ = ["SCHEDULES", "Schedule"]
