"""`adam`: steps scaled by running means of the gradients and of their squares (Kingma and Ba 2015)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from cnntrain.optimizers.base import Eps, Optimizer, OptimizerSettings, Share, Work
from cnntrain.parameters import Parameter
from cnntrain.settings import PositiveFloat


class AdamSettings(OptimizerSettings):
    """YAML keys of `adam`; defaults as in PyTorch. The decays are added to the gradient; for AdamW see `adamw`."""

    learning_rate: PositiveFloat = Field(1e-3, description="Size of a step, about that of each element's change.")
    betas: tuple[Share, Share] = Field(
        (0.9, 0.999),
        strict=False,
        description="What a step keeps of the running means of the gradients and of their squares.",
    )
    eps: Eps = Field(1e-8, description="Added to the root of the mean square, so that nothing divides by 0.")
    form: Literal["pytorch", "keras"] = Field(
        "pytorch",
        description="Where eps is added: pytorch to the root after the bias correction (Kingma and Ba, algorithm 1), "
        "keras (and Caffe, TensorFlow) before it (their section 2: eps hat).",
    )


class Adam(Optimizer):
    """Running means m of g and s of g^2;  w -= rate m / (1 - beta1^t) / (sqrt(s / (1 - beta2^t)) + eps) in step t."""

    name = "adam"
    Settings: ClassVar[type[OptimizerSettings]] = AdamSettings
    decoupled: ClassVar[bool] = False  # whether the decays bypass the gradient

    def __init__(self, settings: Any, parameters: Sequence[Parameter]) -> None:
        super().__init__(settings, parameters)
        from cnntrain.kernels.adaptive import adam

        self._adam = adam

    @classmethod
    def slots(cls, settings: Any) -> tuple[str, ...]:
        return ("mean", "square")

    def update(self, work: Work, step: int) -> None:
        """Run the kernel with the bias corrections of the step."""
        beta1, beta2 = self.settings.betas
        root = math.sqrt(1.0 - beta2**step)
        eps = self.settings.eps if self.settings.form == "pytorch" else self.settings.eps / root
        numbers = (1.0 - beta1, beta2, 1.0 - beta2, 1.0 / (1.0 - beta1**step), 1.0 / root, eps)
        self._adam(
            self._values, self._gradients, self._kept["mean"], self._kept["square"], work,
            tuple(map(self.number, numbers)), self.decoupled,
        )  # fmt: skip
