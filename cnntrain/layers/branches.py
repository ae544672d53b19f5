"""`branches`: several sequences of layers see the same input; their outputs are put together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import Field

from cnntrain.errors import ShapeError
from cnntrain.kernels.geometry import ChannelCopy, plain
from cnntrain.layers.base import LayerRow, PlannedPart
from cnntrain.layers.batch import Batch
from cnntrain.layers.container import Container
from cnntrain.layers.context import LayerContext
from cnntrain.layers.plan import ContainerSettings, Part, chain_of
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
                notes=[f"sequence {part.label}: {chain_of(part)}" for part in (*parts[:_SHOWN], *parts[_SHOWN:][-1:])],
            )
        return merged


class Branches(Container):
    """All outputs, joined or added."""

    name = "branches"
    Settings = BranchesSettings
    output_is_free = True

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        from cnntrain.kernels.merging import add, copy_channels

        super().__init__(row, context)
        self._add, self._copy_channels = add, copy_channels
        self._adds = row.settings.merge == "add"
        self._size, self._input_size = row.output_shape.size * LANES, row.input_shape.size * LANES  # of a block
        self._pixels = row.output_shape.rows * row.output_shape.columns
        shapes, total = [part.output_shape for part in row.parts], row.output_shape.channels
        channels = [shape.channels for shape in shapes]
        firsts = list(accumulate(channels[:-1], initial=0))  # where each branch's channels begin
        self._joins = plain(*(ChannelCopy(n, n, 0, total, first) for n, first in zip(channels, firsts, strict=True)))
        self._cuts = plain(*(ChannelCopy(n, total, first, n, 0) for n, first in zip(channels, firsts, strict=True)))
        self.output = context.buffer(row.output_shape)
        self._gradients = [] if self._adds else [context.buffer(shape) for shape in shapes]
        self._grad_input = context.grad_input(row.input_shape)

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Run all branches and put their outputs together."""
        outputs = [sequence.forward(x, batch) for sequence in self.sequences]
        if self._adds:
            self._add_all(outputs, self.output, batch.blocks * self._size)
        else:
            for output, join in zip(outputs, self._joins, strict=True):
                self._copy_channels(output, self.output, batch.blocks * self._pixels, join)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """Give each branch its channels' gradient, or all of it where outputs were added; add what comes back."""
        gradients = [grad_output for _ in self.sequences] if self._adds else self._gradients
        returned = []
        for sequence, gradient, cut in zip(self.sequences, gradients, self._cuts, strict=True):
            if not self._adds:
                self._copy_channels(grad_output, gradient, batch.blocks * self._pixels, cut)
            returned.append(sequence.backward(gradient, batch))
        if self._grad_input is None:
            return None
        grad_input = self._grad_input.beside(grad_output)
        self._add_all(returned, grad_input, batch.blocks * self._input_size)
        return grad_input

    def _add_all(self, arrays: Sequence[Any], total: NDArray[Any], size: int) -> None:
        """total = the sum of two or more arrays, in their order."""
        first, *others = arrays
        for array in others:
            self._add(first, array, total, size)
            first = total
