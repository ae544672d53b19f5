"""`adadelta`: steps in the scale of the steps before, without a learning rate to choose (Zeiler 2012)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from cnntrain.optimizers.base import Eps, Optimizer, OptimizerSettings, Share, Work
from cnntrain.parameters import Parameter
from cnntrain.settings import PositiveFloat


class AdadeltaSettings(OptimizerSettings):
    """YAML keys of `adadelta`; defaults as in PyTorch."""

    learning_rate: PositiveFloat = Field(1.0, description="A factor on the steps that the rule finds by itself.")
    rho: Share = Field(0.9, description="What a step keeps of the running means of squares (Caffe: momentum).")
    eps: Eps = Field(1e-6, description="Added inside both roots; it sets the size of the first steps (Caffe: delta).")


class Adadelta(Optimizer):
    """Running means s of g^2 and u of d^2;  d = g sqrt(u + eps) / sqrt(s + eps);  w -= rate d."""

    name = "adadelta"
    Settings = AdadeltaSettings

    def __init__(self, settings: Any, parameters: Sequence[Parameter]) -> None:
        super().__init__(settings, parameters)
        from cnntrain.kernels.adaptive import adadelta

        self._adadelta = adadelta

    @classmethod
    def slots(cls, settings: Any) -> tuple[str, ...]:
        return ("square", "delta")

    def update(self, work: Work, step: int) -> None:
        """Run the kernel."""
        numbers = (self.settings.rho, 1.0 - self.settings.rho, self.settings.eps)
        square, delta, rule = self._kept["square"], self._kept["delta"], tuple(map(self.number, numbers))
        self._adadelta(self._values, self._gradients, square, delta, work, rule)
