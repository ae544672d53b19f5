"""What an optimiser is: a rule that moves all parameters by their gradients."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cnntrain.errors import CheckpointError
from cnntrain.memory import line_aligned
from cnntrain.parameters import Parameter
from cnntrain.settings import NonNegativeFloat, PositiveFloat, Settings

CHUNK = 4096  # elements of one parameter that one unit of work updates
STEPS = "steps"  # names of entries of an optimiser's state; the other slots are the optimisers' own
AVERAGE = "average"

Share = Annotated[float, Field(ge=0, lt=1)]
Eps = Annotated[float, Field(ge=1e-30)]  # in float32, less would be 0 and divide nothing by nothing


class OptimizerSettings(Settings):
    """YAML keys of every optimiser."""

    main = "learning_rate"
    learning_rate: PositiveFloat = Field(
        description="Size of a step; the schedule's factor and the layers' own factors multiply it."
    )
    weight_decay: NonNegativeFloat = Field(
        0.0, description="L2 decay: this times the weight is added to the gradient; layers may have factors on it."
    )
    l1_decay: NonNegativeFloat = Field(
        0.0,
        description="L1 decay: this times the weight's sign (0 at 0) is added to the gradient; the layers' factors on "
        "weight_decay hold for it too.",
    )
    clip_norm: PositiveFloat | None = Field(
        None,
        description="Gradients of all parameters together are scaled down to this Euclidean norm if theirs is larger, "
        "before the decays are added.",
    )
    clip_value: PositiveFloat | None = Field(
        None, description="Each element of a gradient is held within minus and plus this, before the decays are added."
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Keeps an exponential moving average of the weights: after each step, average = ema * average + "
        "(1 - ema) * weights. Validation and the best checkpoint use the averages.",
    )

    @model_validator(mode="after")
    def _one_clipping(self) -> OptimizerSettings:
        if self.clip_norm is not None and self.clip_value is not None:
            raise ValueError("takes either clip_norm or clip_value, not both (null unsets one)")
        return self


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

    def step(self, learning_rate: float) -> None:
        """Update all parameters with this step's learning rate."""
        self._steps += 1
        if learning_rate != self._learning_rate:
            self._learning_rate, rates = learning_rate, self._numbers(self._rates * learning_rate)
            self._chunks = self._chunks_of(rates)
        self.update((self._chunks, (self.number(self._scale()), self._limit)), self._steps)
        self._say_changed()
        if self.settings.ema is not None:
            self._average()

    def _say_changed(self) -> None:
        for changes in self._changes:
            changes.count += 1

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
        if self.settings.ema is not None:
            self._move_averages(self._values, self._kept[AVERAGE], none, none, self.number(0))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the kept arrays in canonical form, as "<slot>/<parameter>", and the steps made so far."""
        kept = {name: parameter.canonical(view) for name, (parameter, view) in self._views().items()}
        return {STEPS: np.array([self._steps], np.int64)} | kept

    def load_state(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state` returned; raises `CheckpointError` if names, shapes or the steps do not fit."""
        views = self._views()
        if tensors.keys() != views.keys() | {STEPS}:
            wrong = sorted(tensors.keys() ^ (views.keys() | {STEPS}))
            raise CheckpointError(f"the optimiser's tensors do not fit: {', '.join(wrong[:5])}")
        for name, (_, view) in views.items():
            if tensors[name].shape != view.shape:
                raise CheckpointError(f"{name} must have shape {view.shape}; received {tensors[name].shape}")
        steps = tensors[STEPS]
        if steps.shape != (1,) or steps.dtype.kind not in "iu" or not 0 <= steps[0] < 2**53:
            raise CheckpointError(f"the optimiser's {STEPS} must be one whole number, 0 or more; received {steps}")
        self._steps = int(steps[0])
        for name, (parameter, view) in views.items():
            parameter.assign(view, tensors[name])

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
