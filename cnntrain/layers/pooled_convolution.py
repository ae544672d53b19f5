"""A `conv2d` and the `max_pool2d` behind it, run in one go or on some blocks of images at a time.

What the two hand to each other, the convolution's output and its gradient, are often the largest arrays of a network,
and no other pass reads them: backward, the pooling has its mask and the convolution its input. Where one kernel can do
both (`passes.pooled_convolution`), these arrays are never made. Else there is room for a part of them only, and each
part is used again while it still lies in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from cnntrain.layers.base import Batch, Layer, LayerContext
from cnntrain.layers.conv2d import Conv2d, Conv2dSettings
from cnntrain.layers.max_pool2d import MaxPool2d, MaxPool2dSettings
from cnntrain.layers.plan import LayerRow
from cnntrain.layers.registry import layer_class
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.pooled_convolution import PooledPasses
from cnntrain.shape import LANES

PART = 3 << 19  # bytes of the convolution's output at a time, where that is more than the smallest part


class PooledConvolution(Layer):
    """Max-pooling of a convolution.

    Parameters
    ----------
    rows : sequence of LayerRow
        The two layers, for which `fits` must hold.
    context : LayerContext
        Of the convolution, but for its path.
    """

    output_is_free = True

    def __init__(self, rows: Sequence[LayerRow], context: LayerContext) -> None:
        convolution, pooling = rows
        shape = convolution.output_shape
        self._part = part_of(context.blocks, shape.size * LANES, context.dtype)
        self.convolution = Conv2d(
            cast(Conv2dSettings, convolution.settings),
            convolution.input_shape,
            replace(context, path=convolution.path, blocks=self._part, needs_grad_input=False),
        )
        depth, number = context.level  # the gradient between the two must not displace those around them
        needed = context.needs_grad_input or not self.convolution.weight.frozen
        self.pooling = MaxPool2d(
            cast(MaxPool2dSettings, pooling.settings),
            shape,
            replace(context, path=pooling.path, needs_grad_input=needed, level=(-1 - depth, number)),
        )
        self._together = self.convolution.with_pooling = PooledPasses(self.convolution.passes, self.pooling.passes)
        self._paths = convolution.path, pooling.path
        self.parameters = self.convolution.parameters
        self.output = self.pooling.output
        self._x = np.empty(0, context.dtype)
        self._input_block, self._middle_block = convolution.input_shape.size * LANES, shape.size * LANES
        self._pixels = pooling.output_shape.rows * pooling.output_shape.columns
        self._grad_input = context.grad_input(convolution.input_shape)

    @staticmethod
    def fits(rows: Sequence[LayerRow]) -> bool:
        """Tell whether layers are a convolution and a max-pooling."""
        return [layer_class(row.name) for row in rows] == [Conv2d, MaxPool2d]

    def walk(self, path: str) -> Iterator[tuple[str, Layer]]:
        """Yield the two layers, as if they ran one after the other."""
        yield from zip(self._paths, (self.convolution, self.pooling), strict=True)

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Run both layers forward; the convolution's output is shown here, to whoever watches."""
        self._x = x
        if self._together.goes_forward and batch.watch is None:
            weight, bias = self.convolution.weight.value.reshape(-1), self.convolution.bias_values
            self._together.forward(x, weight, bias, self.output, self.pooling.mask, batch.blocks)
            return self.output
        shown = None if batch.watch is None else line_aligned(x.size // self._input_block * self._middle_block, x.dtype)
        for part in batch.parts(self._part):
            z = self.convolution.forward(x[part.first * self._input_block :], part)
            self.pooling.forward(z, part)
            if shown is not None:
                at, size = part.first * self._middle_block, part.blocks * self._middle_block
                shown[at : at + size] = z[:size]
        if batch.watch is not None and shown is not None:
            batch.watch(self._paths[0], shown)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """Run both layers backward: to the weights in one go where that is possible, the rest part by part.

        Where the gradient of the bias does not come along with that of the weights, it is the sum of grad_output:
        routing gives each of its numbers to one pixel of the delta, so it changes no sum, and there are fewer to add.
        """
        convolution, passes = self.convolution, self.convolution.passes
        weight, bias, learns = convolution.weight, convolution.bias, not convolution.weight.frozen
        grad_bias = None if bias is None else bias.gradient
        if learns and self._together.goes_backward:
            grad_weight, mask = weight.gradient.reshape(-1), self.pooling.mask
            self._together.backward_weight(self._x, grad_output, mask, grad_weight, grad_bias, batch.blocks)
            learns = False
        if self._grad_input is None and not learns:
            return None
        grad_input = None if self._grad_input is None else self._grad_input.beside(grad_output)
        for part in batch.parts(self._part):
            delta = cast(NDArray[Any], self.pooling.backward(grad_output, part))  # as somebody needs it
            at = part.first * self._input_block
            if learns:
                passes.backward_weight(
                    self._x[at:],
                    delta,
                    weight.gradient.reshape(-1),
                    grad_bias if passes.adds_biases else None,
                    part.blocks,
                    begins=part.first == 0,
                    ends=part.first + part.blocks == batch.blocks,
                )
            if grad_input is not None:
                passes.backward_input(delta, weight.value.reshape(-1), grad_input[at:], part.blocks)
        if learns and grad_bias is not None and not passes.adds_biases:
            passes.backward_bias(grad_output, grad_bias, batch.blocks * self._pixels)
        return grad_input


def part_of(blocks: int, block_size: int, dtype: np.dtype) -> int:
    """Return how many of `blocks` blocks, each of `block_size` numbers, to do at a time.

    It does not depend on the number of threads, because the gradient of the weights is summed part by part.
    """
    together = this_machine().side_by_side(blocks, dtype)
    most = max(PART // (block_size * dtype.itemsize) // together * together, together)
    parts = -(-blocks // most)
    return min(-(-blocks // (parts * together)) * together, blocks)
