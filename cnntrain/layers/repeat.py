"""`repeat`: the same layers several times, without writing them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from numpy.typing import NDArray
from pydantic import Field

from cnntrain.layers.base import LayerRow, PlannedPart
from cnntrain.layers.batch import Batch
from cnntrain.layers.container import Container
from cnntrain.layers.context import LayerContext
from cnntrain.layers.plan import ContainerSettings, Part
from cnntrain.layers.registry import LayerChoice
from cnntrain.settings import PositiveInt
from cnntrain.shape import Shape


class RepeatSettings(ContainerSettings):
    """`repeat: {times: 3, layers: [a, b]}` is the network a, b, a, b, a, b; each has parameters of its own."""

    times: PositiveInt = Field(description="How often.")
    layers: Annotated[list[LayerChoice], Field(min_length=1)] = Field(description="The layers, in order.")

    def parts(self) -> Sequence[Part]:
        """One sequence, run through several times."""
        return [Part("", "layers", self.layers, self.times)]

    def merged_shape(self, input_shape: Shape, parts: Sequence[PlannedPart]) -> Shape:
        """Shape after the last layer."""
        return parts[0].output_shape


class Repeat(Container):
    """The layers one after the other."""

    name = "repeat"
    Settings = RepeatSettings
    parallel = False

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        super().__init__(row, context)
        self._sequence = self.sequences[0]
        self.output_is_free = self._sequence.output_is_free

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Pass x through all layers."""
        self.output = self._sequence.forward(x, batch)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """Pass the gradient back through all layers."""
        return self._sequence.backward(grad_output, batch)
