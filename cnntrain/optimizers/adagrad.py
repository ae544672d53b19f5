"""`adagrad`: steps divided by the root of the sum of all squared gradients so far (Duchi et al. 2011)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from cnntrain.optimizers.base import Eps, Optimizer, OptimizerSettings, Work
from cnntrain.parameters import Parameter
from cnntrain.settings import NonNegativeFloat, PositiveFloat


class AdagradSettings(OptimizerSettings):
    """YAML keys of `adagrad`; defaults as in PyTorch."""

    learning_rate: PositiveFloat = Field(1e-2, description="Size of the first step of each element.")
    learning_rate_decay: NonNegativeFloat = Field(
        0.0, description="Step t, from 0, has learning_rate / (1 + t * learning_rate_decay); schedules come on top."
    )
    initial_sum: NonNegativeFloat = Field(0.0, description="What each element's sum of squares begins with.")
    eps: Eps = Field(1e-10, description="Added to the root of the sum, so that nothing divides by 0.")
    form: Literal["pytorch", "keras"] = Field(
        "pytorch", description="pytorch (and Caffe) adds eps to the root, keras inside the root."
    )


class Adagrad(Optimizer):
    """Running sum s of g^2;  w -= rate g / (sqrt(s) + eps)."""

    name = "adagrad"
    Settings = AdagradSettings

    def __init__(self, settings: Any, parameters: Sequence[Parameter]) -> None:
        super().__init__(settings, parameters)
        from cnntrain.kernels.adaptive import adagrad

        self._adagrad = adagrad
        self._kept["sum"].fill(settings.initial_sum)

    @classmethod
    def slots(cls, settings: Any) -> tuple[str, ...]:
        return ("sum",)

    def update(self, work: Work, step: int) -> None:
        """Run the kernel."""
        slowdown = 1.0 / (1.0 + (step - 1) * self.settings.learning_rate_decay)
        rule = self.number(slowdown), self.number(self.settings.eps)
        self._adagrad(self._values, self._gradients, self._kept["sum"], work, rule, self.settings.form == "keras")
