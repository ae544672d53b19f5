"""What depends on how far a training has come: parameters that learn for some epochs only, and Lookahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import Field

from cnntrain.parameters import Parameter, Statistic
from cnntrain.settings import NonNegativeFloat, PositiveInt, Settings


class LookaheadSettings(Settings):
    """Slow weights that follow those that are trained, which begin again from them (Zhang et al. 2019)."""

    every: PositiveInt = Field(5, description="Steps of training between two steps of the slow weights.")
    keep: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.5, description="What the slow weights keep of themselves then; the paper's alpha is one minus it."
    )
    power: NonNegativeFloat = Field(
        0.0,
        description="In step t of T they keep `keep * (t / T) ** power`: above 0, little at first (Jordan 2024: 3).",
    )
    start_epochs: NonNegativeFloat = Field(0.0, description="Epochs before it begins.")


@dataclass(frozen=True)
class Course:
    """A training's course, as an optimiser must know it.

    Attributes
    ----------
    steps_per_epoch, total_steps : int
    statistics : sequence of Statistic
        The network's, which Lookahead slows down like the weights.
    factor_over : callable
        Returns the config's schedule as it would run through in so many steps: a factor for a 0-based step.
    """

    steps_per_epoch: int
    total_steps: int
    statistics: Sequence[Statistic]
    factor_over: Callable[[int], Callable[[int], float]]

    def steps_of(self, epochs: float) -> int:
        """Return the number of steps, at least 1, nearest to so many epochs."""
        return max(round(epochs * self.steps_per_epoch), 1)

    def own_factor(self, parameter: Parameter) -> Callable[[int], float | None] | None:
        """Return the schedule of a parameter that learns for some epochs only; None for one that learns always.

        It gives for a 0-based step the factor on the optimiser's learning rate; infinity for that of the config's
        schedule, None when the parameter learns no more.
        """
        if parameter.epochs is None:
            return None
        last = self.steps_of(parameter.epochs)
        whole = self.factor_over(last) if parameter.whole_schedule else None

        def factor(step: int) -> float | None:
            if step >= last:
                return None
            return SHARED if whole is None else whole(step)

        return factor


SHARED = float("inf")  # stands for the factor of the config's schedule


class Phase(NamedTuple):
    """What Lookahead does after a step: slow += share (fast - slow); then, if `back`, fast = slow."""

    share: float
    back: bool


def lookahead_phase(settings: LookaheadSettings, course: Course, step: int) -> Phase:
    """Return what is done after the step of this number, from 1.

    The slow weights begin as the fast ones, after the first step that is a multiple of `every` and lies behind
    `start_epochs`. The fast ones take them over with each of their steps, and where an epoch or the training ends
    (Jordan 2024), so that what is evaluated and saved there are the slow ones.
    """
    start = round(settings.start_epochs * course.steps_per_epoch)
    first = (start // settings.every + 1) * settings.every
    if step < first:
        return Phase(0.0, False)
    at_end = step % course.steps_per_epoch == 0 or step == course.total_steps
    if step == first:
        return Phase(1.0, at_end)
    if step % settings.every:
        return Phase(0.0, at_end)
    done = min(step / course.total_steps, 1.0)
    return Phase(1.0 - settings.keep * done**settings.power, True)
