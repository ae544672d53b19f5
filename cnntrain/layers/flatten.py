"""`flatten`: accepted for clarity; `dense` takes its input in C·H·W order anyway."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from cnntrain.layers.base import Layer, LayerRow
from cnntrain.layers.batch import Batch
from cnntrain.layers.context import LayerContext
from cnntrain.layers.settings import LayerSettings
from cnntrain.shape import Shape


class FlattenSettings(LayerSettings):
    """`flatten` has no YAML keys."""

    def output_shape(self, input_shape: Shape) -> Shape:
        """Unchanged: the order C·H·W is a matter of the dense layer's weights."""
        return input_shape


class Flatten(Layer):
    """Passes its input through; `dense` flattens by itself."""

    name = "flatten"
    Settings = FlattenSettings

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        pass

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Return x itself."""
        self.output = x
        return x

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Return the gradient itself."""
        return grad_output
