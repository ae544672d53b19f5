"""What all layers with weights and biases have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.errors import ShapeError
from cnntrain.initializers import InitializerChoice
from cnntrain.layers.context import LayerContext
from cnntrain.layers.settings import LayerSettings
from cnntrain.parameters import Parameter
from cnntrain.settings import Choice, NonNegativeFloat, PositiveFloat


def check_initializers(settings: LayerSettings, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise `ShapeError` where the initialiser under the key `<tensor>_init` cannot make a tensor of its shape."""
    for tensor, shape in shapes.items():
        init: Choice = getattr(settings, f"{tensor}_init")
        try:
            init.registered(init.settings).check(shape)
        except ShapeError as error:
            raise ShapeError(f"{init.name} cannot make the {tensor}: {error}", f"{tensor}_init") from error


class WeightSettings(LayerSettings):
    """YAML keys on weights and biases: initial values, and factors on the optimiser's rate and decay."""

    bias: bool = Field(True, description="Add a learned number to every output channel.")
    weight_init: InitializerChoice = Field(
        "xavier", validate_default=True, description="Initial values of the weights."
    )
    bias_init: InitializerChoice = Field("zeros", validate_default=True, description="Initial values of the bias.")
    weight_learning_rate: NonNegativeFloat = Field(1.0, description="Factor on the learning rate for the weights.")
    bias_learning_rate: NonNegativeFloat = Field(1.0, description="Factor on the learning rate for the bias.")
    weight_decay: NonNegativeFloat = Field(1.0, description="Factor on the optimiser's weight decay for the weights.")
    bias_decay: NonNegativeFloat = Field(1.0, description="Factor on the optimiser's weight decay for the bias.")
    weight_epochs: PositiveFloat | None = Field(
        None, description="The weights learn in the first so many epochs, then they stay; null: always."
    )
    bias_epochs: PositiveFloat | None = Field(None, description="The same for the bias.")
    epochs_schedule: Literal["cut", "whole"] = Field(
        "cut",
        description="The learning rate of what learns in some epochs only. cut: the schedule's, as for all others, "
        "until they end. whole: the schedule runs through in these epochs.",
    )
    frozen: bool = Field(
        False, description="Keep weights and bias as they are: learning rate 0, and no time spent on their gradients."
    )

    def check_parameters(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Ask the initialisers."""
        check_initializers(self, shapes)

    def create(
        self, context: LayerContext, order: NDArray[np.intp] | None = None
    ) -> tuple[Parameter, Parameter | None]:
        """Make the layer's weight, kept in the given order (see `Parameter`), and its bias if it has one."""
        weight = context.parameter(
            "weight", self.weight_init,
            learning_rate=self.weight_learning_rate, weight_decay=self.weight_decay, order=order, frozen=self.frozen,
            epochs=self.weight_epochs, whole_schedule=self.epochs_schedule == "whole",
        )  # fmt: skip
        if not self.bias:
            return weight, None
        bias = context.parameter(
            "bias", self.bias_init,
            learning_rate=self.bias_learning_rate, weight_decay=self.bias_decay, frozen=self.frozen,
            epochs=self.bias_epochs, whole_schedule=self.epochs_schedule == "whole",
        )  # fmt: skip
        return weight, bias
