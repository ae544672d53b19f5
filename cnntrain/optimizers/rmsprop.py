"""`rmsprop`: steps divided by the root of a running mean of squared gradients (Tieleman and Hinton 2012)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from cnntrain.optimizers.base import Eps, Optimizer, OptimizerSettings, Share, Work
from cnntrain.parameters import Parameter
from cnntrain.settings import PositiveFloat


class RmspropSettings(OptimizerSettings):
    """YAML keys of `rmsprop`; defaults as in PyTorch."""

    learning_rate: PositiveFloat = Field(1e-2, description="Size of a step, about that of each element's change.")
    alpha: Share = Field(
        0.99, description="What a step keeps of the running mean of squares (Keras: rho, Caffe: rms_decay)."
    )
    eps: Eps = Field(1e-8, description="Added to the root of the mean square, so that nothing divides by 0.")
    momentum: Share = Field(0.0, description="Share of the velocity that a step keeps; 0: no velocity.")
    centered: bool = Field(
        False, description="Divide by the standard deviation: the mean square less the square of the mean gradient."
    )
    form: Literal["pytorch", "keras"] = Field(
        "pytorch",
        description="pytorch (and Caffe) adds eps to the root and multiplies the velocity with the learning rate; "
        "keras adds eps inside the root and keeps the rate inside the velocity.",
    )


class Rmsprop(Optimizer):
    """Running mean s of g^2;  w -= rate g / (sqrt(s) + eps)."""

    name = "rmsprop"
    Settings = RmspropSettings

    def __init__(self, settings: Any, parameters: Sequence[Parameter]) -> None:
        super().__init__(settings, parameters)
        from cnntrain.kernels.adaptive import rmsprop

        self._rmsprop = rmsprop

    @classmethod
    def slots(cls, settings: Any) -> tuple[str, ...]:
        wanted = {"square": True, "mean": settings.centered, "velocity": settings.momentum > 0}
        return tuple(slot for slot, kept in wanted.items() if kept)

    def update(self, work: Work, step: int) -> None:
        """Run the kernel; arrays that the settings do not need are stood in for by one that is there."""
        settings, square = self.settings, self._kept["square"]
        numbers = (settings.alpha, 1.0 - settings.alpha, settings.eps, settings.momentum)
        form = settings.centered, settings.momentum > 0, settings.form == "keras"
        self._rmsprop(
            self._values, self._gradients, square, self._kept.get("mean", square), self._kept.get("velocity", square),
            work, tuple(map(self.number, numbers)), form,
        )  # fmt: skip
