"""`dropout`: during training, values are set to zero at random (Srivastava et al. 2014)."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.layers.base import Layer, LayerRow
from cnntrain.layers.batch import Batch
from cnntrain.layers.context import LayerContext
from cnntrain.layers.settings import LayerSettings
from cnntrain.shape import LANES, Shape


class DropoutSettings(LayerSettings):
    """YAML keys of `dropout`."""

    main = "rate"
    rate: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.5,
        description="Probability that a value is dropped; what stays is divided by 1 - rate, so that evaluation needs "
        "no scaling.",
    )

    def output_shape(self, input_shape: Shape) -> Shape:
        """Unchanged."""
        return input_shape


class Dropout(Layer):
    """Sets values to zero at random in training, and passes all of them through in evaluation.

    The mask follows from the seed, the layer's path and the step; nothing is stored.
    """

    name = "dropout"
    Settings = DropoutSettings

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        from cnntrain.kernels.dropout import dropout

        self._kernel, self._rate = dropout, row.settings.rate
        self._key = np.uint64(context.random_key())
        self._threshold = np.uint64(round(self._rate * 2**32))
        self._factor = context.dtype.type(1 / (1 - self._rate))
        self._block = row.input_shape.size * LANES
        self._overwrites = context.overwrites
        self._dropped = np.empty(0, context.dtype) if self._overwrites else context.buffer(row.output_shape)
        self.output = self._dropped
        self._grad_input = context.grad_input(row.input_shape)

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Compute y = x * mask / (1 - rate) in training; x itself in evaluation."""
        target = x if self._overwrites else self._dropped
        self.output = self._masked(x, target, batch) if self._works(batch) else x
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """dL/dx = dL/dy * mask / (1 - rate), with the mask of the same step."""
        if self._grad_input is None:
            return None
        if not self._works(batch):
            return grad_output
        return self._masked(grad_output, self._grad_input.over(grad_output), batch)

    def _works(self, batch: Batch) -> bool:
        return batch.training and self._rate > 0

    def _masked(self, source: NDArray[Any], target: NDArray[Any], batch: Batch) -> NDArray[Any]:
        step = np.uint64(batch.step)
        self._kernel(source, target, batch.blocks * self._block, self._key, step, self._threshold, self._factor)
        return target
