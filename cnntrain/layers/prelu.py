"""`prelu`: a rectifier that learns its slope for negative inputs (He et al. 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.initializers import InitializerChoice
from cnntrain.layers.activations import ActivationSettings
from cnntrain.layers.base import Layer, LayerRow
from cnntrain.layers.batch import Batch
from cnntrain.layers.context import LayerContext
from cnntrain.layers.weights import check_initializers
from cnntrain.memory import line_aligned
from cnntrain.settings import NonNegativeFloat
from cnntrain.shape import LANES, Shape


class PreluSettings(ActivationSettings):
    """YAML keys of `prelu`."""

    shared: bool = Field(False, description="One slope for all channels instead of one for each.")
    slope_init: InitializerChoice = Field(
        {"constant": 0.25}, validate_default=True, description="Initial values of the slope."
    )
    slope_learning_rate: NonNegativeFloat = Field(1.0, description="Factor on the optimiser's learning rate.")
    slope_decay: NonNegativeFloat = Field(
        0.0, description="Factor on the optimiser's weight decay; 0 as in He et al. 2015: decay would pull to ReLU."
    )

    frozen: bool = Field(False, description="Keep the slope as it is.")

    def parameter_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """The slope: one number, or one per channel."""
        return {"slope": (1 if self.shared else input_shape.channels,)}

    def check_parameters(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Ask the initialiser."""
        check_initializers(self, shapes)


class Prelu(Layer):
    """y = z where z > 0, slope * z elsewhere, with a learned slope (He et al. 2015)."""

    name = "prelu"
    Settings = PreluSettings

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        from cnntrain.kernels.prelu import prelu, prelu_backward
        from cnntrain.kernels.slots import room, sum_slots
        from cnntrain.passes.batch_norm import sheet_of

        settings, (channels, rows, columns) = row.settings, row.input_shape
        self._kernel, self._backward_kernel, self._sum_slots = prelu, prelu_backward, sum_slots
        sheet = sheet_of(channels, rows * columns, context.blocks, context.dtype)
        self._slots, self._geometry = sheet.slots, tuple(sheet)
        self._slope = context.parameter(
            "slope", settings.slope_init,
            learning_rate=settings.slope_learning_rate, weight_decay=settings.slope_decay, frozen=settings.frozen,
        )  # fmt: skip
        self.parameters = [self._slope]
        self._slopes, self._sums = np.zeros(channels, context.dtype), np.zeros(channels, context.dtype)
        self._partial = line_aligned(room(sheet.slots, channels), context.dtype)
        self._z = self.output = context.buffer(row.output_shape)
        self._grad_input, self._needed = context.reserve(row.input_shape), context.needs_grad_input
        self._block = row.input_shape.size * LANES

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Compute y = z where z > 0, slope * z elsewhere."""
        self._z = x
        self._slopes[:] = self._slope.value
        self._kernel(x, self.output, self._slopes, batch.blocks, self._geometry)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """dL/dz = g or slope * g; dL/dslope = sum of g z where z <= 0."""
        grad_input = self._grad_input.over(grad_output)
        self._backward_kernel(
            grad_output, self._z, grad_input, self._slopes, self._partial, batch.blocks, self._geometry
        )  # fmt: skip
        self._sum_slots(self._partial, self._slots, self._sums)
        if not self._slope.frozen:
            self._slope.gradient[...] = self._sums if self._slope.value.size == self._sums.size else self._sums.sum()
        return grad_input if self._needed else None

    def decisions(self, blocks: int) -> NDArray[np.bool_]:
        """Return where z > 0."""
        positive: NDArray[np.bool_] = self._z[: blocks * self._block] > 0
        return positive
