"""What an optimiser is: a rule that moves all parameters by their gradients."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import CheckpointError
from cnntrain.memory import line_aligned
from cnntrain.optimizers.course import SHARED, Course, Phase, lookahead_phase
from cnntrain.optimizers.settings import Eps, OptimizerSettings, Share
from cnntrain.parameters import Parameter, Statistic

CHUNK = 4096  # elements of one parameter that one unit of work updates
STEPS = "steps"  # names of entries of an optimiser's state; the other slots are the optimisers' own
AVERAGE = "average"
SLOW = "slow"

__all__ = ["Eps", "Optimizer", "OptimizerSettings", "Share", "Work"]

# the fields of `kernels.optimizers.Chunks`, then those of `Clipping`: what every kernel takes after its arrays
Work = tuple[tuple[NDArray[Any], ...], tuple[Any, Any]]


class Optimizer(ABC):
    """Updates parameters in place; those whose own factor on the learning rate is 0 are left alone altogether.

    Parameters
    ----------
    settings : OptimizerSettings
        The optimiser's own `Settings`.
    parameters : sequence of Parameter
        Values and gradients must be stretches of two flat arrays, as a `Network` keeps them, in this order.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[OptimizerSettings]]

    def __init__(self, settings: Any, parameters: Sequence[Parameter]) -> None:
        from cnntrain.kernels.optimizers import move_averages, sums_of_squares

        self._move_averages, self._sums_of_squares = move_averages, sums_of_squares
        self.settings = settings
        self._values, self._gradients = (_whole([getattr(p, key) for p in parameters]) for key in ("value", "gradient"))
        self._largest = float(np.finfo(self._values.dtype).max)
        self._steps = 0
        self._changes = list({id(parameter.changes): parameter.changes for parameter in parameters}.values())
        slots = (*self.slots(settings), *([AVERAGE] if settings.ema is not None else []))
        slots = (*slots, *([SLOW] if settings.lookahead is not None else []))
        self._kept = {slot: line_aligned(self._values.size, self._values.dtype) for slot in slots}
        self._moving: list[tuple[Parameter, slice]] = []
        start = 0
        for parameter in parameters:
            if parameter.learning_rate:
                self._moving.append((parameter, slice(start, start + parameter.value.size)))
            start += parameter.value.size
        chunks = [
            (begin, min(begin + CHUNK, place.stop), parameter.learning_rate, parameter.weight_decay)
            for parameter, place in self._moving
            for begin in range(place.start, place.stop, CHUNK)
        ]
        self._parameters = [p for p, place in self._moving for _ in range(place.start, place.stop, CHUNK)]  # by chunk
        self._course: Course | None = None
        self._own: list[tuple[int, Callable[[int], float | None]]] = []  # chunks with a schedule of their own
        self._slow_statistics: dict[str, tuple[Statistic, NDArray[Any]]] = {}
        begin, end, rates, decays = np.array(chunks, np.float64).reshape(-1, 4).T
        self._begin, self._end, self._rates = begin.astype(np.int64), end.astype(np.int64), rates
        self._decays = self._numbers(decays * settings.weight_decay)
        self._l1_decays = self._numbers(decays * settings.l1_decay)
        self._limit = self.number(settings.clip_value or math.inf)
        self._learning_rate, self._chunks = 0.0, self._chunks_of(np.zeros_like(self._decays))
        self._sums = np.zeros(len(chunks))

    @classmethod
    def slots(cls, settings: Any) -> tuple[str, ...]:
        """Names of the arrays that are kept for each parameter, for example "velocity"; they begin as zeros."""
        return ()

    @abstractmethod
    def update(self, work: Work, step: int) -> None:
        """Run the kernel over `work`, for the step of this number, from 1."""

    def number(self, value: float) -> Any:
        """Return a number in the parameters' type, as kernels want it; infinity if it is too large for that."""
        if abs(value) > self._largest:  # without the warning, or the time that silencing it takes
            value = math.copysign(math.inf, value)
        return self._values.dtype.type(value)

    def _numbers(self, values: NDArray[np.float64]) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            return values.astype(self._values.dtype)

    def follow(self, course: Course | None) -> None:
        """Learn how far the training goes; without it, all parameters learn always and there is no Lookahead."""
        self._course, self._own, self._slow_statistics = course, [], {}
        if course is None:
            return
        for number, parameter in enumerate(self._parameters):
            own = course.own_factor(parameter)
            if own is not None:
                self._own.append((number, own))
        if self.settings.lookahead is not None:
            self._slow_statistics = {each.name: (each, np.zeros_like(each.value)) for each in course.statistics}

    def step(self, learning_rate: float) -> None:
        """Update all parameters with this step's learning rate."""
        self._steps += 1
        if self._own:
            self._chunks = self._chunks_with_own(learning_rate)
        elif learning_rate != self._learning_rate:
            self._learning_rate, rates = learning_rate, self._numbers(self._rates * learning_rate)
            self._chunks = self._chunks_of(rates)
        self.update((self._chunks, (self.number(self._scale()), self._limit)), self._steps)
        if self.settings.lookahead is not None and self._course is not None:
            self._look_ahead(lookahead_phase(self.settings.lookahead, self._course, self._steps))
        self._say_changed()
        if self.settings.ema is not None:
            self._average()

    def _say_changed(self) -> None:
        for changes in self._changes:
            changes.count += 1

    def rate_of(self, parameter: Parameter, learning_rate: float, step: int) -> float | None:
        """Return a parameter's own rate in the step of this number, from 1; None if it learns no more by then."""
        own = None if self._course is None else self._course.own_factor(parameter)
        factor = SHARED if own is None else own(step - 1)
        if factor is None:
            return None
        return parameter.learning_rate * (learning_rate if factor == SHARED else self.settings.learning_rate * factor)

    def phase_of(self, step: int) -> Phase:
        """Return what Lookahead does after the step of this number, from 1."""
        if self.settings.lookahead is None or self._course is None:
            return Phase(0.0, False)
        return lookahead_phase(self.settings.lookahead, self._course, step)

    def _chunks_with_own(self, learning_rate: float) -> tuple[NDArray[Any], ...]:
        """Return the chunks of what still learns, with the step's rates."""
        rates, learns = self._rates * learning_rate, np.ones(self._rates.size, np.bool_)
        for number, own in self._own:
            factor = own(self._steps - 1)
            if factor is None:
                learns[number] = False
            elif factor != SHARED:
                rates[number] = self._rates[number] * (self.settings.learning_rate * factor)
        chunks = self._chunks_of(self._numbers(rates))
        return chunks if learns.all() else tuple(array[learns] for array in chunks)

    def _chunks_of(self, rates: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        return self._begin, self._end, rates, self._decays, self._l1_decays

    def gradient_norm(self) -> float:
        """Return the Euclidean norm of all gradients together, in float64; the same bits for any number of threads."""
        self._sums_of_squares(self._gradients, self._begin, self._end, self._sums)
        return math.sqrt(float(np.cumsum(self._sums)[-1])) if self._sums.size else 0.0

    def _scale(self) -> float:
        if self.settings.clip_norm is None:
            return 1.0
        # PyTorch's form; a norm that is NaN makes all gradients NaN: it must stay visible
        scale = self.settings.clip_norm / (self.gradient_norm() + 1e-6)
        return 1.0 if scale > 1.0 else scale

    def _look_ahead(self, phase: Phase) -> None:
        """Let the slow weights follow, and the trained ones begin again from them."""
        slow = self._kept[SLOW]
        if phase.share == 1.0:
            slow[...] = self._values
        elif phase.share:
            self._move_averages(self._values, slow, self._begin, self._end, self.number(phase.share))
        for _, place in self._moving if phase.back else ():
            self._values[place] = slow[place]
        for statistic, kept in self._slow_statistics.values():
            kept += kept.dtype.type(phase.share) * (statistic.value - kept)
            if phase.back:
                statistic.value[...] = kept

    def _average(self) -> None:
        """Take the new weights into their averages, which begin as the weights after the first step."""
        averages = self._kept[AVERAGE]
        if self._steps == 1:
            averages[...] = self._values
        else:
            share = self.number(1.0 - self.settings.ema)
            self._move_averages(self._values, averages, self._begin, self._end, share)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the parameters hold their moving averages for a while; without `ema` (or a first step) they stay."""
        if self.settings.ema is None or self._steps == 0:
            yield
            return
        self._swap_averages()
        try:
            yield
        finally:
            self._swap_averages()

    def _swap_averages(self) -> None:
        averages = self._kept[AVERAGE]
        for _, place in self._moving:
            trained = self._values[place].copy()
            self._values[place] = averages[place]
            averages[place] = trained
        self._say_changed()

    def warm_up(self) -> None:
        """Compile or load the kernels, changing nothing."""
        none, empty = np.empty(0, np.int64), np.empty(0, self._values.dtype)
        self.update(((none, none, empty, empty, empty), (self.number(1), self.number(1))), 1)
        if self.settings.clip_norm is not None:
            self._sums_of_squares(self._gradients, none, none, self._sums)
        if self.settings.ema is not None or self.settings.lookahead is not None:
            self._move_averages(self._values, self._values, none, none, self.number(0))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the kept arrays in canonical form, as "<slot>/<parameter>", and the steps made so far."""
        kept = {name: parameter.canonical(view) for name, (parameter, view) in self._views().items()}
        kept |= {f"{SLOW}/{name}": slow.copy() for name, (_, slow) in self._slow_statistics.items()}
        return {STEPS: np.array([self._steps], np.int64)} | kept

    def load_state(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state` returned; raises `CheckpointError` if names, shapes or the steps do not fit."""
        views = self._views()
        slow = {f"{SLOW}/{name}": array for name, (_, array) in self._slow_statistics.items()}
        expected = {name: view for name, (_, view) in views.items()} | slow
        if tensors.keys() != expected.keys() | {STEPS}:
            wrong = sorted(tensors.keys() ^ (expected.keys() | {STEPS}))
            raise CheckpointError(f"the optimiser's tensors do not fit: {', '.join(wrong[:5])}")
        for name, view in expected.items():
            if tensors[name].shape != view.shape:
                raise CheckpointError(f"{name} must have shape {view.shape}; received {tensors[name].shape}")
        steps = tensors[STEPS]
        if steps.shape != (1,) or steps.dtype.kind not in "iu" or not 0 <= steps[0] < 2**53:
            raise CheckpointError(f"the optimiser's {STEPS} must be one whole number, 0 or more; received {steps}")
        self._steps = int(steps[0])
        for name, (parameter, view) in views.items():
            parameter.assign(view, tensors[name])
        for name, array in slow.items():
            array[...] = tensors[name]

    def _views(self) -> dict[str, tuple[Parameter, NDArray[Any]]]:
        return {
            f"{slot}/{parameter.name}": (parameter, array[place].reshape(parameter.value.shape))
            for parameter, place in self._moving
            for slot, array in self._kept.items()
        }


def _whole(stretches: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the flat array that these arrays are stretches of, in order and without gaps."""
    if not stretches:
        return np.zeros(0, np.float32)
    whole: Any = stretches[0].base
    position = 0
    for stretch in stretches:
        if stretch.base is not whole or whole is None:
            raise ValueError("parameters must be stretches of one flat array")
        position += stretch.size
    if position != whole.size:
        raise ValueError("parameters must cover the flat array they are stretches of")
    return whole
