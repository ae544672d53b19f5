"""`avg_pool2d`: the mean of each window."""

from __future__ import annotations

from typing import Any, ClassVar

from numpy.typing import NDArray
from pydantic import Field

from cnntrain.layers.base import Layer, LayerRow
from cnntrain.layers.batch import Batch
from cnntrain.layers.context import LayerContext
from cnntrain.layers.pooling_window import PoolingSettings
from cnntrain.layers.settings import LayerSettings


class AvgPool2dSettings(PoolingSettings):
    """YAML keys of `avg_pool2d`."""

    count_padding: bool = Field(
        True,
        description="Zeros of the padding count in the mean, as in Caffe and PyTorch (windows that ceil_mode lets hang "
        "over the padding are cut there). false: the mean of the real pixels, as in Keras.",
    )


class AvgPool2d(Layer):
    """The mean of each window."""

    name = "avg_pool2d"
    Settings: ClassVar[type[LayerSettings]] = AvgPool2dSettings
    output_is_free = True

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        from cnntrain.passes.pooling import AveragePooling

        rows, columns = row.settings.axes(row.input_shape)
        self._pass = AveragePooling(row.input_shape.channels, rows, columns, row.settings.count_padding)
        self.output = context.buffer(row.output_shape)
        self._grad_input = context.grad_input(row.input_shape)

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Compute y = mean of x over each window."""
        self._pass.forward(x, self.output, batch.blocks)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """Each pixel of a window gets an equal share of its gradient; overlapping windows add up."""
        if self._grad_input is None:
            return None
        grad_input = self._grad_input.beside(grad_output)
        self._pass.backward(grad_output, grad_input, batch.blocks)
        return grad_input
