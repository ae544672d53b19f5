"""`dense`: every output sees every input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.layers.base import Conditions, Layer, LayerRow, PassChoice, Timed
from cnntrain.layers.batch import Batch
from cnntrain.layers.context import LayerContext
from cnntrain.layers.settings import LayerSettings
from cnntrain.layers.weights import WeightSettings
from cnntrain.settings import PositiveInt
from cnntrain.shape import Shape

if TYPE_CHECKING:
    from cnntrain.passes.dense import Dense as DensePasses
    from cnntrain.passes.dense import FewImages


class DenseSettings(WeightSettings):
    """YAML keys of `dense`."""

    main = "units"
    units: PositiveInt | Literal["classes"] = Field(
        description="Number of outputs. classes: as many as the data has classes, for the last layer."
    )

    def resolve(self, classes: int) -> LayerSettings:
        """Put the number of classes in place of the word."""
        return self.model_copy(update={"units": classes}) if self.units == "classes" else self

    @property
    def _number(self) -> int:
        if isinstance(self.units, str):
            raise ValueError("dense: classes has not been resolved")
        return self.units

    def output_shape(self, input_shape: Shape) -> Shape:
        """One channel per unit."""
        return Shape(self._number, 1, 1)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """Weight (units, inputs in C·H·W order) and bias (units,)."""
        shapes: dict[str, tuple[int, ...]] = {"weight": (self._number, input_shape.size)}
        return shapes | {"bias": (self._number,)} if self.bias else shapes

    def macs(self, input_shape: Shape) -> int:
        """One multiply-add per weight."""
        return self._number * input_shape.size


class Dense(Layer):
    """y = W x + b: every output sees every input; the image is flattened in the order channel, row, column."""

    name = "dense"
    Settings = DenseSettings
    output_is_free = True

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        from cnntrain.passes.dense import Dense as DensePasses
        from cnntrain.passes.dense import memory_order

        units = row.output_shape.channels
        self._passes = DensePasses(row.input_shape.size, units, context.blocks, context.dtype, few=context.few)
        self._weight, self._bias = row.settings.create(context, memory_order(*row.input_shape))
        self.parameters = [self._weight] if self._bias is None else [self._weight, self._bias]
        self._no_bias = np.zeros(units, context.dtype)
        self._x = np.empty(0, context.dtype)
        self.output = context.buffer(row.output_shape)
        self._grad_input = context.grad_input(row.input_shape)

    @classmethod
    def explain(cls, row: LayerRow, conditions: Conditions) -> Iterator[PassChoice]:
        """Yield the three passes, which have one algorithm each."""
        from cnntrain.passes.dense import ALGORITHMS, shape_of

        shape = shape_of(row.input_shape.size, row.output_shape.channels)
        for name, algorithm in ALGORITHMS.items():
            yield PassChoice(row.path, shape, name, algorithm, {})

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Compute y = W x + b."""
        self._x = x
        bias = self._no_bias if self._bias is None else self._bias.value
        self._passes.forward(x, self._weight.value.reshape(-1), bias, self.output, batch.blocks)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """dL/dW = delta x^T, dL/db = delta summed over the images, dL/dx = W^T delta."""
        if not self._weight.frozen:
            grad_bias = None if self._bias is None else self._bias.gradient
            grad_weight = self._weight.gradient.reshape(-1)
            self._back.backward_weight(self._x, grad_output, grad_weight, grad_bias, self._number(batch))
        if self._grad_input is None:
            return None
        grad_input = self._grad_input.beside(grad_output)
        self._back.backward_input(grad_output, self._weight.value.reshape(-1), grad_input, self._number(batch))
        return grad_input

    @property
    def _back(self) -> DensePasses | FewImages:
        return self._passes.few or self._passes

    def _number(self, batch: Batch) -> int:
        return batch.blocks if self._passes.few is None else batch.images

    def timed(self, path: str) -> Iterator[Timed]:
        """Yield the three passes."""
        about = str(self._passes), self._passes.macs
        yield Timed(path, "forward", self, "forward", *about)
        yield Timed(path, "to input", self._back, "backward_input", *about)
        yield Timed(path, "to weights", self._back, "backward_weight", *about)
