"""What a schedule is: a factor on the optimiser's learning rate, as a function of the step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from cnntrain.settings import NonNegativeFloat, Settings


class ScheduleSettings(Settings):
    """YAML keys that every schedule takes."""

    warmup_epochs: NonNegativeFloat = 0.0


class Schedule(ABC):
    """The learning rate's factor at every step: a linear warm-up, then `decay`.

    A warm-up of w steps gives 1/w, 2/w, ..., 1; `decay` begins after it. Epochs and steps that the YAML names
    (`multi_step: {epochs: [10]}`) count from the start of training all the same.

    Parameters
    ----------
    settings : ScheduleSettings
        This schedule's own `Settings`.
    total_steps : int
        Steps of the whole training, warm-up included.
    steps_per_epoch : int
        Steps of one pass over the training split.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[ScheduleSettings]] = ScheduleSettings

    def __init__(self, settings: Any, total_steps: int, steps_per_epoch: int) -> None:
        self.settings = settings
        self.steps_per_epoch = steps_per_epoch
        self.warmup_steps = round(settings.warmup_epochs * steps_per_epoch)
        self.decay_steps = max(total_steps - self.warmup_steps, 1)

    def factor(self, step: int) -> float:
        """Return what to multiply the optimiser's learning rate with at a 0-based step."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        return self.decay(step - self.warmup_steps)

    @abstractmethod
    def decay(self, step: int) -> float:
        """Return the factor at a 0-based step after the warm-up."""
