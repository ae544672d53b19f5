"""`residual`: what some layers make of their input is added to the input (He et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.errors import ShapeError
from cnntrain.kernels.geometry import Subsampling
from cnntrain.layers.base import LayerRow, PlannedPart
from cnntrain.layers.batch import Batch
from cnntrain.layers.container import Container
from cnntrain.layers.context import LayerContext
from cnntrain.layers.plan import ContainerSettings, Part, chain_of
from cnntrain.layers.registry import LayerChoice
from cnntrain.shape import LANES, Shape


class ResidualSettings(ContainerSettings):
    """Both ways must give the same shape; `residual: [layers]` is short for the body alone."""

    main = "body"
    body: Annotated[list[LayerChoice], Field(min_length=1)] = Field(description="The layers whose output is added.")
    shortcut: Literal["identity", "zero_padded"] | list[LayerChoice] = Field(
        "identity",
        description="What the body's output is added to: the input itself; the input brought to the body's shape "
        "without parameters, by taking every s-th pixel and adding channels of zeros behind its own (option A of He et "
        "al. 2016); or the output of layers, such as a 1x1 convolution (option B).",
    )

    def parts(self) -> Sequence[Part]:
        """Body and shortcut; a zero-padded shortcut is no sequence of layers."""
        body = Part("body", "body", self.body)
        if self.shortcut == "zero_padded":
            return [body]
        return [body, Part("shortcut", "shortcut", [] if isinstance(self.shortcut, str) else self.shortcut)]

    def merged_shape(self, input_shape: Shape, parts: Sequence[PlannedPart]) -> Shape:
        """The common shape."""
        body, *others = parts
        notes = [f"body: {chain_of(body)}"]
        if not others:
            self.subsampling(input_shape, body.output_shape, notes)
        elif others[0].output_shape != body.output_shape:
            shortcut = others[0]
            remedy = ""
            if not shortcut.rows:
                remedy = ": give the shortcut layers that do the same to the shape, or try `shortcut: zero_padded`"
            raise ShapeError(
                f"the body gives {body.output_shape}, the shortcut {shortcut.output_shape}{remedy}",
                "shortcut" if shortcut.rows else None,
                [*notes, f"shortcut: {chain_of(shortcut)}"],
            )
        return body.output_shape

    def subsampling(self, image: Shape, body: Shape, notes: Sequence[str] = ()) -> Subsampling:
        """Return how the zero-padded shortcut brings an image to the body's shape; raises `ShapeError`."""
        row_stride, column_stride = -(-image.rows // body.rows), -(-image.columns // body.columns)
        rows, columns = -(-image.rows // row_stride), -(-image.columns // column_stride)
        if (rows, columns) != (body.rows, body.columns) or body.channels < image.channels:
            raise ShapeError(
                f"the body gives {body}, which no stride and no added channels make of {image}",
                "shortcut", [*notes, f"shortcut: {image} (zero_padded)"],
            )  # fmt: skip
        return Subsampling(
            body.channels, body.rows, body.columns, image.channels, image.rows, image.columns, row_stride, column_stride
        )


class Residual(Container):
    """y = body(x) + shortcut(x)."""

    name = "residual"
    Settings = ResidualSettings
    output_is_free = True

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        from cnntrain.kernels import merging

        super().__init__(row, context)
        self._add = merging.add
        self._add_subsampled, self._add_subsampled_backward = merging.add_subsampled, merging.add_subsampled_backward
        self._body, *shortcut = self.sequences
        self._shortcut = shortcut[0] if shortcut else None
        self._geometry = () if shortcut else tuple(row.settings.subsampling(row.input_shape, row.output_shape))
        self._size, self._input_size = row.output_shape.size * LANES, row.input_shape.size * LANES  # of a block
        self._overwrites = self._body.output_is_free
        self.output = np.empty(0, context.dtype) if self._overwrites else context.buffer(row.output_shape)
        self._grad_input = context.grad_input(row.input_shape)

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Run both ways and add."""
        body = self._body.forward(x, batch)
        if self._overwrites:
            self.output = body
        if self._shortcut is None:
            self._add_subsampled(body, x, self.output, batch.blocks, self._geometry)
        else:
            self._add(body, self._shortcut.forward(x, batch), self.output, batch.blocks * self._size)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """dL/dx is the sum of what comes back on both ways; each gets all of dL/dy."""
        through_body = self._body.backward(grad_output, batch)
        through_shortcut = None if self._shortcut is None else self._shortcut.backward(grad_output, batch)
        if self._grad_input is None:
            return None
        grad_input = self._grad_input.beside(grad_output)
        if self._shortcut is None:
            self._add_subsampled_backward(grad_output, through_body, grad_input, batch.blocks, self._geometry)
        else:
            self._add(through_body, through_shortcut, grad_input, batch.blocks * self._input_size)
        return grad_input
