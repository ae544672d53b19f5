"""`muon`: filters move along the orthogonal matrix nearest to their momentum (Jordan et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cnntrain.optimizers.base import Optimizer, OptimizerSettings, Share, Work
from cnntrain.parameters import Parameter
from cnntrain.settings import NonNegativeFloat, PositiveFloat, PositiveInt, Settings

AXES = 2  # of a parameter; one with more is a bank of filters


class OthersSettings(Settings):
    """The rule of gradient descent for what is no filter: biases, batch norm, dense layers."""

    learning_rate: PositiveFloat | None = Field(None, description="Theirs; null: that of the filters.")
    momentum: Share = Field(0.9, description="Share of the velocity that a step keeps.")
    nesterov: bool = Field(True, description="Nesterov's momentum; needs a momentum.")
    weight_decay: NonNegativeFloat | None = Field(
        None, description="L2 decay: this times the weight is added to the gradient; null: the filters' number."
    )

    @model_validator(mode="after")
    def _momentum_for_nesterov(self) -> OthersSettings:
        if self.nesterov and self.momentum == 0:
            raise ValueError("needs a momentum greater than 0 when nesterov is true")
        return self


class MuonSettings(OptimizerSettings):
    """YAML keys of `muon`; PyTorch's defaults, but 0.02 for the rate."""

    learning_rate: PositiveFloat = Field(
        0.02, description="Size of a step of the filters: about the change of each singular value."
    )
    momentum: Share = Field(0.95, description="Share of the velocity that a step keeps.")
    nesterov: bool = Field(True, description="Nesterov's momentum; needs a momentum.")
    steps: PositiveInt = Field(5, description="Steps of the Newton-Schulz iteration; more come closer to orthogonal.")
    normalize: bool = Field(
        False,
        description="Before each step a layer's filters are scaled to the Euclidean norm sqrt(filters), all by the "
        "same factor (Jordan 2024); for layers whose scale does not count, because batch norm follows.",
    )
    weight_decay: NonNegativeFloat = Field(
        0.0, description="Decoupled decay of the filters: a step takes learning rate * weight_decay * weight off each."
    )
    l1_decay: NonNegativeFloat = Field(
        0.0,
        description="Decoupled L1 decay of the filters: a step takes learning rate * l1_decay off each weight's size; "
        "the others have it in their gradients.",
    )
    others: OthersSettings = Field(
        OthersSettings(),
        validate_default=True,
        description="Gradient descent for all that is no filter: biases, batch norm, dense layers.",
    )

    @model_validator(mode="after")
    def _momentum_for_nesterov(self) -> MuonSettings:
        if self.nesterov and self.momentum == 0:
            raise ValueError("needs a momentum greater than 0 when nesterov is true")
        return self


class Muon(Optimizer):
    """Filters: v = momentum v + g;  w -= rate (the orthogonal matrix near g + momentum v).  All others: `sgd`.

    A layer's filters are a matrix, one row for each. Newton and Schulz's iteration brings its singular values near 1
    (Jordan et al. 2024): between 0.7 and 1.2 after 5 steps, but for the smallest.
    """

    name = "muon"
    Settings = MuonSettings

    def __init__(self, settings: Any, parameters: Sequence[Parameter]) -> None:
        super().__init__(settings, parameters)
        from cnntrain.kernels.optimizers import sgd
        from cnntrain.passes.newton_schulz import NewtonSchulz

        self._sgd = sgd
        self._filters = {
            place.start: (
                parameter,
                place,
                NewtonSchulz(_matrix(parameter.value).shape, self._values.dtype, settings.steps),
            )
            for parameter, place in self._moving
            if parameter.value.ndim > AXES
        }
        is_filter = np.array([parameter.value.ndim > AXES for parameter in self._parameters], np.bool_)
        self._of_filters = self._begin[is_filter]
        others, decays = settings.others, np.array([parameter.weight_decay for parameter in self._parameters])
        if others.learning_rate is not None:
            self._rates[~is_filter] *= others.learning_rate / settings.learning_rate
        if others.weight_decay is not None:
            self._decays[~is_filter] = self._numbers(decays[~is_filter] * others.weight_decay)

    @classmethod
    def slots(cls, settings: Any) -> tuple[str, ...]:
        return ("velocity",)

    def update(self, work: Work, step: int) -> None:
        """Run the kernel for the others; the filters that are in the work step one layer after the other."""
        chunks, (scale, limit) = work
        of_filters = np.isin(chunks[0], self._of_filters)
        others, momentum = tuple(array[~of_filters] for array in chunks), self.number(self.settings.others.momentum)
        self._sgd(
            self._values, self._gradients, self._kept["velocity"], (others, (scale, limit)), momentum,
            self.settings.others.nesterov,
        )  # fmt: skip
        for begin, _, rate, decay, l1_decay in zip(*(array[of_filters] for array in chunks), strict=True):
            if int(begin) in self._filters:  # a parameter's first chunk stands for all
                parameter, place, iteration = self._filters[int(begin)]
                velocity = self._kept["velocity"][place].reshape(parameter.value.shape)
                with np.errstate(invalid="ignore", over="ignore"):  # NaN stays NaN; whoever trains finds it
                    gradient = np.clip(parameter.gradient * scale, -limit, limit)
                    self._step(parameter.value, gradient, velocity, iteration, (rate, decay, l1_decay))

    def _step(
        self, value: NDArray[Any], gradient: NDArray[Any], velocity: NDArray[Any], iteration: Any,
        rates: tuple[Any, Any, Any],
    ) -> None:  # fmt: skip
        momentum, (rate, decay, l1_decay) = self.number(self.settings.momentum), rates
        velocity *= momentum
        velocity += gradient
        direction = gradient + momentum * velocity if self.settings.nesterov else velocity
        if self.settings.normalize:
            norm = float(np.sqrt(np.square(value, dtype=np.float64).sum()))
            if norm:
                value *= self.number(float(np.sqrt(len(value))) / norm)
        if decay or l1_decay:
            value -= rate * (decay * value + l1_decay * np.sign(value))
        value -= rate * iteration(_matrix(direction)).reshape(value.shape)

    def rate_of(self, parameter: Parameter, learning_rate: float, step: int) -> float | None:
        """Return a parameter's own rate in the step of this number, from 1; None if it learns no more by then."""
        rate, others = super().rate_of(parameter, learning_rate, step), self.settings.others.learning_rate
        if rate is None or others is None or parameter.value.ndim > AXES:
            return rate
        return rate * (others / self.settings.learning_rate)

    def warm_up(self) -> None:
        """Compile or load the kernels, changing nothing."""
        super().warm_up()
        for _, _, iteration in self._filters.values():
            iteration(np.zeros(iteration.shape, self._values.dtype))


def _matrix(filters: NDArray[Any]) -> NDArray[Any]:
    """Return filters (filters, ...) as a matrix, one row for each."""
    return filters.reshape(len(filters), -1)
