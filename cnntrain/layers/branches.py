"""`branches`: several sequences of layers see the same input; their outputs are put together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import Field

from cnntrain.errors import ShapeError
from cnntrain.kernels.merging import ChannelCopy, add, copy_channels
from cnntrain.layers.base import Batch, LayerContext
from cnntrain.layers.container import Container
from cnntrain.layers.plan import ContainerSettings, Part, PlannedPart
from cnntrain.layers.registry import LayerChoice
from cnntrain.shape import LANES, Shape

_SHOWN = 8  # branches in an error


class BranchesSettings(ContainerSettings):
    """As in Inception (Szegedy et al. 2015); with an empty sequence beside another, DenseNet (Huang et al. 2017)."""

    main = "sequences"
    sequences: Annotated[list[list[LayerChoice]], Field(min_length=2)] = Field(
        description="Two or more lists of layers; an empty list passes the input through."
    )
    merge: Literal["concat", "add"] = Field(
        "concat",
        description="concat: the channels of all outputs one after the other, in the order of the sequences; their "
        "rows and columns must be the same. add: the sum of the outputs, which must have the same shape.",
    )

    def parts(self) -> Sequence[Part]:
        """All sequences, by their numbers."""
        return [Part(str(i), f"sequences.{i}", layers) for i, layers in enumerate(self.sequences)]

    def merged_shape(self, input_shape: Shape, parts: Sequence[PlannedPart]) -> Shape:
        """The common shape, or as many channels as all outputs have together."""
        shapes = [part.output_shape for part in parts]
        first = shapes[0]
        if self.merge == "add":
            wrong = next((i for i, shape in enumerate(shapes) if shape != first), None)
            merged = first
        else:
            wrong = next((i for i, shape in enumerate(shapes) if shape[1:] != first[1:]), None)
            merged = Shape(sum(shape.channels for shape in shapes), first.rows, first.columns)
        if wrong is not None:
            what = "shape" if self.merge == "add" else "rows and columns"
            raise ShapeError(
                f"sequence 0 gives {first}, sequence {wrong} gives {shapes[wrong]}: "
                f"merge: {self.merge} needs the same {what} from all",
                notes=[f"sequence {part.label}: {part.chain}" for part in (*parts[:_SHOWN], *parts[_SHOWN:][-1:])],
            )
        return merged


class Branches(Container):
    """All outputs, joined or added."""

    name = "branches"
    Settings = BranchesSettings
    output_is_free = True

    def __init__(self, settings: BranchesSettings, input_shape: Shape, context: LayerContext) -> None:
        super().__init__(settings, input_shape, context)
        row = settings.plan(input_shape)
        self._adds = settings.merge == "add"
        self._shapes = [part.output_shape for part in row.parts]
        self._shape, self._input_size = row.output_shape, input_shape.size * LANES
        self.output = context.buffer(row.output_shape)
        self._gradients = [] if self._adds else [context.buffer(shape) for shape in self._shapes]
        self._grad_input = context.grad_input(input_shape)

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Run all branches and put their outputs together."""
        outputs = [sequence.forward(x, batch) for sequence in self.sequences]
        if self._adds:
            _add_all(outputs, self.output, batch.blocks * self._shape.size * LANES)
        else:
            total = self._shape.channels
            for output, first, shape in zip(outputs, self._firsts, self._shapes, strict=True):
                copy = ChannelCopy(shape.channels, shape.channels, 0, total, first)
                copy_channels(output, self.output, batch.blocks * self._pixels, copy)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """Give each branch its channels' gradient, or all of it where outputs were added; add what comes back."""
        returned = []
        for i, sequence in enumerate(self.sequences):
            gradient = grad_output if self._adds else self._gradients[i]
            if not self._adds:
                channels = self._shapes[i].channels
                copy = ChannelCopy(channels, self._shape.channels, self._firsts[i], channels, 0)
                copy_channels(grad_output, gradient, batch.blocks * self._pixels, copy)
            returned.append(sequence.backward(gradient, batch))
        if self._grad_input is None:
            return None
        grad_input = self._grad_input.beside(grad_output)
        _add_all(returned, grad_input, batch.blocks * self._input_size)
        return grad_input

    @property
    def _firsts(self) -> list[int]:
        """Where each branch's channels begin."""
        return list(accumulate((shape.channels for shape in self._shapes[:-1]), initial=0))

    @property
    def _pixels(self) -> int:
        return self._shape.rows * self._shape.columns


def _add_all(arrays: Sequence[Any], total: NDArray[Any], size: int) -> None:
    """Total = the sum of two or more arrays, in their order."""
    first, *others = arrays
    for array in others:
        add(first, array, total, size)
        first = total
