"""What a schedule is: a factor on the optimiser's learning rate, as a function of the step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from pydantic import Field, model_validator

from cnntrain.errors import CheckpointError
from cnntrain.settings import NonNegativeFloat, NonNegativeInt, Settings


class EpochMetrics(Protocol):
    """What an epoch reached, for schedules that look at it; the validation values are None without such a split."""

    @property
    def train_loss(self) -> float: ...
    @property
    def train_accuracy(self) -> float: ...
    @property
    def validation_loss(self) -> float | None: ...
    @property
    def validation_accuracy(self) -> float | None: ...


class ScheduleSettings(Settings):
    """YAML keys that every schedule takes."""

    warmup_epochs: NonNegativeFloat = Field(
        0.0, description="Epochs, or a part of one, in which the learning rate first rises linearly from almost 0."
    )
    warmup_steps: NonNegativeInt = Field(0, description="The same as `warmup_epochs`, counted in steps.")

    @model_validator(mode="after")
    def _one_warmup(self) -> ScheduleSettings:
        if self.warmup_epochs and self.warmup_steps:
            raise ValueError("takes either warmup_epochs or warmup_steps, not both")
        return self


class Schedule(ABC):
    """The learning rate's factor at every step: a linear warm-up, then `decay`.

    A warm-up of w steps gives 1/w, 2/w, ..., 1; `decay` begins after it. Epochs and steps that the YAML names
    (`multi_step: {epochs: [10]}`) count from the start of training all the same.

    Most schedules are functions of the step alone. One that looks at how training goes learns from `observe`, and
    keeps what it must remember in `state`, so that a run that is continued ends with the same bits.

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
        self.warmup_steps = settings.warmup_steps or round(settings.warmup_epochs * steps_per_epoch)
        self.decay_steps = max(total_steps - self.warmup_steps, 1)

    def factor(self, step: int) -> float:
        """Return what to multiply the optimiser's learning rate with at a 0-based step."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        return self.decay(step - self.warmup_steps)

    @abstractmethod
    def decay(self, step: int) -> float:
        """Return the factor at a 0-based step after the warm-up."""

    def steps_of(self, epochs: float) -> int:
        """Return the number of steps, at least 1, nearest to this many epochs."""
        return max(round(epochs * self.steps_per_epoch), 1)

    def observe(self, metrics: EpochMetrics) -> None:  # noqa: B027 - most schedules do not care
        """Take notice of what a finished epoch reached; called once per epoch, after its last step."""

    def state(self) -> dict[str, float | None]:
        """Return what `observe` has left behind; empty for a function of the step alone."""
        return {}

    def load_state(self, state: Mapping[str, float | None]) -> None:
        """Take over what `state` returned; raises `CheckpointError` if it is not of this schedule's form."""
        if state.keys() != self.state().keys():
            wrong = ", ".join(sorted(state.keys() ^ self.state().keys()))
            raise CheckpointError(f"the state does not fit the schedule {self.name}: {wrong}")
