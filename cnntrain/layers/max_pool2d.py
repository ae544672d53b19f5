"""`max_pool2d`: the largest value of each window, and a mask of where it was."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ShapeError
from cnntrain.kernels.geometry import Axis
from cnntrain.layers.base import Batch, Layer, LayerContext
from cnntrain.layers.pooling_window import PoolingSettings
from cnntrain.passes.pooling import MaxPooling
from cnntrain.shape import LANES, Shape

MAX_TAPS = np.iinfo(np.int16).max  # the mask keeps the number of the winning position in 16 bits


class MaxPool2dSettings(PoolingSettings):
    """YAML keys of `max_pool2d`."""

    def axes(self, input_shape: Shape) -> tuple[Axis, Axis]:
        """Return the windows along rows and columns; raises `ShapeError` when they do not fit."""
        rows, columns = super().axes(input_shape)
        if rows.taps * columns.taps > MAX_TAPS:
            size = f"{rows.taps}x{columns.taps}"
            raise ShapeError(f"kernel_size {size} has more than {MAX_TAPS} positions for the mask", "kernel_size")
        return rows, columns


class MaxPool2d(Layer):
    """The largest value of each window; padding never wins, and of equal values the first one gets the gradient."""

    name = "max_pool2d"
    Settings = MaxPool2dSettings
    output_is_free = True
    takes_maximum = True

    def __init__(self, settings: MaxPool2dSettings, input_shape: Shape, context: LayerContext) -> None:
        self.passes = MaxPooling(input_shape.channels, *settings.axes(input_shape))
        shape = settings.output_shape(input_shape)
        self.output = context.buffer(shape)
        self.mask = context.buffer(shape, np.int16)
        self._block = shape.size * LANES
        self._grad_input = context.grad_input(input_shape)

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Take the maxima and remember the winners in `mask`; of a part of the batch, x is that part alone."""
        at = batch.first * self._block
        self.passes.forward(x, self.output[at:], self.mask[at:], batch.blocks)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """Route each gradient to its winner; of a part of the batch, that part alone is returned."""
        if self._grad_input is None:
            return None
        grad_input = self._grad_input.beside(grad_output)
        at = batch.first * self._block
        self.passes.backward(grad_output[at:], self.mask[at:], grad_input, batch.blocks)
        return grad_input

    def decisions(self, blocks: int) -> NDArray[np.int16]:
        """Return the winner of each window."""
        return self.mask[: blocks * self._block]
