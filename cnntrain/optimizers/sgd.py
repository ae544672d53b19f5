"""`sgd`: stochastic gradient descent with momentum, Nesterov's momentum and weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from cnntrain.optimizers.base import Optimizer, OptimizerSettings, Share, Work
from cnntrain.parameters import Parameter


class SgdSettings(OptimizerSettings):
    """YAML keys of `sgd`."""

    momentum: Share = Field(0.0, description="Share of the velocity that a step keeps.")
    nesterov: bool = Field(False, description="Nesterov's momentum; needs a momentum.")
    form: Literal["pytorch", "caffe"] = Field(
        "pytorch",
        description="Where the learning rate enters: pytorch multiplies the velocity with it, caffe (and Keras) keeps "
        "it inside the velocity. They differ when the rate changes.",
    )

    @model_validator(mode="after")
    def _momentum_for_nesterov(self) -> SgdSettings:
        if self.nesterov and self.momentum == 0:
            raise ValueError("needs a momentum greater than 0 when nesterov is true")
        return self


class Sgd(Optimizer):
    """Velocity v = momentum v + g + decay w;  w -= rate v, or rate (g + decay w + momentum v) with Nesterov's form."""

    name = "sgd"
    Settings = SgdSettings

    def __init__(self, settings: Any, parameters: Sequence[Parameter]) -> None:
        super().__init__(settings, parameters)
        from cnntrain.kernels.optimizers import sgd, sgd_caffe

        self._sgd = sgd if settings.form == "pytorch" else sgd_caffe

    @classmethod
    def slots(cls, settings: Any) -> tuple[str, ...]:
        return ("velocity",)

    def update(self, work: Work, step: int) -> None:
        """Run the kernel of the chosen form."""
        momentum = self.number(self.settings.momentum)
        self._sgd(self._values, self._gradients, self._kept["velocity"], work, momentum, self.settings.nesterov)
