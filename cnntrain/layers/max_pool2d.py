"""`max_pool2d`: the largest value of each window, and a mask of where it was."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.errors import ShapeError
from cnntrain.kernels.convolution import Axis
from cnntrain.layers.base import LANES, Batch, Layer, LayerContext, LayerSettings, Shape
from cnntrain.passes.pooling import MaxPooling, pooling_axis
from cnntrain.settings import NonNegativePair, PositivePair


class MaxPool2dSettings(LayerSettings):
    """YAML keys of `max_pool2d`."""

    main = "kernel_size"
    kernel_size: PositivePair = Field(description="Rows and columns of the window.")
    stride: PositivePair | None = Field(
        None, description="Pixels from one position of the window to the next; the kernel_size unless given."
    )
    padding: NonNegativePair = Field(
        (0, 0), description="Pixels around the image that take no part; at most half the window."
    )
    ceil_mode: bool = Field(False, description="Round the output's size up: the last window may end outside.")

    def axes(self, input_shape: Shape) -> tuple[Axis, Axis]:
        """Return the windows along rows and columns; raises `ShapeError` when they do not fit."""
        strides = self.stride or self.kernel_size
        for taps, padding in zip(self.kernel_size, self.padding, strict=True):
            if padding > taps // 2:
                raise ShapeError(f"padding {padding} is more than half of kernel_size {taps}", "padding")
        sizes = (input_shape.rows, input_shape.columns)
        rows, columns = (
            pooling_axis(sizes[i], self.kernel_size[i], strides[i], self.padding[i], self.ceil_mode) for i in (0, 1)
        )
        if min(rows.count, columns.count) < 1:
            size = "x".join(map(str, self.kernel_size))
            raise ShapeError(f"kernel_size {size} on a {sizes[0]}x{sizes[1]} image", "kernel_size")
        return rows, columns

    def output_shape(self, input_shape: Shape) -> Shape:
        """As many channels, one pixel per window."""
        rows, columns = self.axes(input_shape)
        return Shape(input_shape.channels, rows.count, columns.count)


class MaxPool2d(Layer):
    """The largest value of each window; where several are equal, the first one gets the gradient."""

    name = "max_pool2d"
    Settings = MaxPool2dSettings

    def __init__(self, settings: MaxPool2dSettings, input_shape: Shape, context: LayerContext) -> None:
        self._pass = MaxPooling(input_shape.channels, *settings.axes(input_shape))
        shape = settings.output_shape(input_shape)
        self.output = context.buffer(shape)
        self.mask = context.buffer(shape, np.int16)
        self._block = shape.size * LANES
        self._grad_input = context.buffer(input_shape) if context.needs_grad_input else None

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Take the maxima and remember the winners in `mask`."""
        self._pass.forward(x, self.output, self.mask, batch.blocks)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """Route each gradient to its winner."""
        if self._grad_input is not None:
            self._pass.backward(grad_output, self.mask, self._grad_input, batch.blocks)
        return self._grad_input

    def decisions(self, blocks: int) -> NDArray[np.int16]:
        """Return the winner of each window."""
        return self.mask[: blocks * self._block]
