"""`max_pool2d`: the largest value of each window, and a mask of where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ShapeError
from cnntrain.kernels.geometry import Axis
from cnntrain.layers.base import Layer, LayerRow
from cnntrain.layers.batch import Batch
from cnntrain.layers.context import LayerContext
from cnntrain.layers.pooling_window import PoolingSettings
from cnntrain.shape import LANES, Shape

if TYPE_CHECKING:
    from cnntrain.passes.pooling import MaxPooling

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
    """The largest value of each window; padding never wins, and of equal values the first one gets the gradient.

    Attributes
    ----------
    passes : MaxPooling
    mask : ndarray
        The winner of each window: the number of its tap.
    """

    name = "max_pool2d"
    Settings = MaxPool2dSettings
    output_is_free = True
    takes_maximum = True

    passes: MaxPooling
    mask: NDArray[np.int16]

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        from cnntrain.passes.pooling import MaxPooling

        self.passes = MaxPooling(row.input_shape.channels, *row.settings.axes(row.input_shape))
        self.output = context.buffer(row.output_shape)
        self.mask = context.buffer(row.output_shape, np.int16)
        self._block = row.output_shape.size * LANES
        self._grad_input = context.grad_input(row.input_shape)

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Take the maxima and remember the winners in `mask`."""
        self.passes.forward(x, self.output, self.mask, batch.blocks)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """Route each gradient to its winner."""
        if self._grad_input is None:
            return None
        grad_input = self._grad_input.beside(grad_output)
        self.passes.backward(grad_output, self.mask, grad_input, batch.blocks)
        return grad_input

    def decisions(self, blocks: int) -> NDArray[np.int16]:
        """Return the winner of each window."""
        return self.mask[: blocks * self._block]
