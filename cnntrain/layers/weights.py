"""What all layers with weights and biases have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.initializers import InitializerChoice
from cnntrain.layers.base import LayerContext, LayerSettings, Parameter
from cnntrain.settings import NonNegativeFloat


class WeightSettings(LayerSettings):
    """YAML keys on weights and biases: initial values, and factors on the optimiser's rate and decay."""

    bias: bool = True
    weight_init: InitializerChoice = Field("xavier", validate_default=True)
    bias_init: InitializerChoice = Field("zeros", validate_default=True)
    weight_learning_rate: NonNegativeFloat = 1.0
    bias_learning_rate: NonNegativeFloat = 1.0
    weight_decay: NonNegativeFloat = 1.0
    bias_decay: NonNegativeFloat = 1.0

    def create(
        self, context: LayerContext, weight_shape: tuple[int, ...], order: NDArray[np.intp] | None = None
    ) -> tuple[Parameter, Parameter | None]:
        """Make the layer's weight, kept in the given order (see `Parameter`), and its bias if it has one."""
        weight = context.parameter(
            "weight", weight_shape, self.weight_init,
            learning_rate=self.weight_learning_rate, weight_decay=self.weight_decay, order=order,
        )  # fmt: skip
        if not self.bias:
            return weight, None
        bias = context.parameter(
            "bias", weight_shape[:1], self.bias_init,
            learning_rate=self.bias_learning_rate, weight_decay=self.bias_decay,
        )  # fmt: skip
        return weight, bias
