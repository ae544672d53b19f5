"""A `conv2d` and the `max_pool2d` behind it, run in one go or on some blocks of images at a time.

What the two hand to each other, the convolution's output and its gradient, are often the largest arrays of a network,
and no other pass reads them: backward, the pooling has its mask and the convolution its input. Where one kernel can do
both (`passes.pooled_convolution`), these arrays are never made. Else there is room for a slice of the batch only, and
each slice is used again while it still lies in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.layers.base import Conditions, Layer, LayerRow, PassChoice, Timed
from cnntrain.layers.batch import Batch
from cnntrain.layers.context import LayerContext
from cnntrain.layers.conv2d import Conv2d
from cnntrain.layers.max_pool2d import MaxPool2d
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.shape import LANES

if TYPE_CHECKING:
    from cnntrain.passes.pooled_convolution import PooledPasses

SLICE_BYTES = 3 << 19  # of the convolution's output at a time, where that is more than the smallest slice


class PooledConvolution(Layer):
    """Max-pooling of a convolution; its row stands for theirs.

    Attributes
    ----------
    convolution : Conv2d
        Has the parameters; its output is that of a slice.
    pooling : MaxPool2d
        Has output and mask.
    together : PooledPasses
        What of them is done in one go.
    slice_blocks : int
        Blocks that are done at a time where it is not.
    """

    name = "conv2d + max_pool2d"
    output_is_free = True

    convolution: Conv2d
    pooling: MaxPool2d
    together: PooledPasses
    slice_blocks: int

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        from cnntrain.passes.pooled_convolution import PooledPasses

        convolution, pooling = row.stands_for
        self._input_block, self._middle_block = row.input_shape.size * LANES, convolution.output_shape.size * LANES
        self._output_block = row.output_shape.size * LANES
        self.slice_blocks = slice_blocks_of(context.blocks, self._middle_block, context.dtype)
        inner = replace(context, needs_grad_input=False)  # gradients pass through here alone
        self.pooling = MaxPool2d(pooling, inner.of(pooling.path, {}))
        inner = replace(inner, blocks=self.slice_blocks)
        self.convolution = Conv2d(convolution, inner.of(convolution.path, convolution.parameter_shapes))
        self.together = PooledPasses(self.convolution.passes, self.pooling.passes)
        self.parameters, self.output = self.convolution.parameters, self.pooling.output
        self._paths = convolution.path, pooling.path
        self._x = np.empty(0, context.dtype)
        self._pixels = row.output_shape.rows * row.output_shape.columns
        self._handover = context.gradients.handover
        self._handover.reserve(self.slice_blocks * self._middle_block)
        self._grad_input = context.grad_input(row.input_shape)

    @classmethod
    def explain(cls, row: LayerRow, conditions: Conditions) -> Iterator[PassChoice]:
        """Yield the convolution's passes, and whether the pooling is done in the same go."""
        from cnntrain.passes.pooled_convolution import separated
        from cnntrain.passes.pooling import MaxPooling

        convolution, pooling = row.stands_for
        windows = MaxPooling(pooling.input_shape.channels, *pooling.settings.axes(pooling.input_shape))
        choices = Conv2d.choices(convolution, conditions).by_direction()
        for found, (name, chosen) in zip(Conv2d.explain(convolution, conditions), choices, strict=True):
            reason, note = separated(chosen.algorithm, windows), f"in one kernel with {pooling.path}"
            if name != "to input":  # that never is
                found = found._replace(note=note if reason is None else f"not {note}: {reason}")
            yield found

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Run both layers forward."""
        self._x = x
        if self.together.goes_forward and batch.watch is None:
            weight, bias = self.convolution.weight.value.reshape(-1), self.convolution.bias_values
            self.together.forward(x, weight, bias, self.output, self.pooling.mask, batch.blocks)
        else:
            self._forward_in_slices(x, batch)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """Run both layers backward: to the weights in one go where that is possible, the rest slice by slice."""
        weight, bias = self.convolution.weight, self.convolution.bias
        learns = not weight.frozen
        if learns and self.together.goes_backward:
            grad_weight, grad_bias = weight.gradient.reshape(-1), None if bias is None else bias.gradient
            mask = self.pooling.mask
            self.together.backward_weight(self._x, grad_output, mask, grad_weight, grad_bias, batch.blocks)
            learns = False
        if self._grad_input is None and not learns:
            return None
        grad_input = None if self._grad_input is None else self._grad_input.beside(grad_output)
        self._backward_in_slices(grad_output, grad_input, batch, learns)
        return grad_input

    def _forward_in_slices(self, x: NDArray[Any], batch: Batch) -> None:
        """Run both forward, slice by slice; the convolution's output is shown here, to whoever watches."""
        weight, bias = self.convolution.weight.value.reshape(-1), self.convolution.bias_values
        z, mask = self.convolution.output, self.pooling.mask
        shown = None if batch.watch is None else line_aligned(x.size // self._input_block * self._middle_block, x.dtype)
        for first, blocks in slices(batch.blocks, self.slice_blocks):
            at = first * self._output_block
            self.convolution.passes.forward(x[first * self._input_block :], weight, bias, z, blocks)
            self.pooling.passes.forward(z, self.output[at:], mask[at:], blocks)
            if shown is not None:
                shown[first * self._middle_block :][: blocks * self._middle_block] = z[: blocks * self._middle_block]
        if batch.watch is not None and shown is not None:
            batch.watch(self._paths[0], "output", shown)

    def _backward_in_slices(
        self, grad_output: NDArray[Any], grad_input: NDArray[Any] | None, batch: Batch, learns: bool
    ) -> None:
        """Run both backward, slice by slice: to the weights if the layer still `learns`, to the input if somebody asks.

        Where the gradient of the bias does not come along with that of the weights, it is the sum of grad_output:
        routing gives each of its numbers to one pixel of the delta, so it changes no sum, and there are fewer to add.
        """
        passes, weight, bias = self.convolution.passes, self.convolution.weight, self.convolution.bias
        grad_weight, delta = weight.gradient.reshape(-1), self._handover.buffer
        with_bias = bias.gradient if bias is not None and passes.adds_biases else None
        for first, blocks in slices(batch.blocks, self.slice_blocks):
            at, begins, ends = first * self._input_block, first == 0, first + blocks == batch.blocks
            pooled = first * self._output_block
            self.pooling.passes.backward(grad_output[pooled:], self.pooling.mask[pooled:], delta, blocks)
            if learns:
                passes.backward_weight(
                    self._x[at:], delta, grad_weight, with_bias, blocks, begins=begins, ends=ends
                )  # fmt: skip
            if grad_input is not None:
                passes.backward_input(delta, weight.value.reshape(-1), grad_input[at:], blocks)
        if learns and bias is not None and not passes.adds_biases:
            passes.backward_bias(grad_output, bias.gradient, batch.blocks * self._pixels)

    def walk(self, path: str) -> Iterator[tuple[str, Layer]]:
        """Yield the two layers, as if they ran one after the other."""
        yield from zip(self._paths, (self.convolution, self.pooling), strict=True)

    def timed(self, path: str) -> Iterator[Timed]:
        """Yield the passes of the two layers; what is done in one go counts as the convolution's."""
        passes, about = self.convolution.passes, (str(self.convolution.geometry), self.convolution.geometry.macs)
        first, second = self._paths
        for target in (self.together, passes):
            yield Timed(first, "forward", target, "forward", *about)
            yield Timed(first, "to weights", target, "backward_weight", *about)
        yield Timed(first, "to weights", passes, "backward_bias", *about)
        yield Timed(first, "to input", passes, "backward_input", *about)
        yield Timed(second, "forward", self.pooling.passes, "forward")
        yield Timed(second, "backward", self.pooling.passes, "backward")


def slices(blocks: int, most: int) -> Iterator[tuple[int, int]]:
    """Cut a batch of `blocks` blocks into slices of `most` blocks, the last of fewer: (first block, blocks)."""
    for first in range(0, blocks, most):
        yield first, min(most, blocks - first)


def slice_blocks_of(blocks: int, block_size: int, dtype: np.dtype) -> int:
    """Return how many of `blocks` blocks, each of `block_size` numbers, to do at a time.

    It does not depend on the number of threads, because the gradient of the weights is summed slice by slice.
    """
    together = this_machine().side_by_side(blocks, dtype)
    most = max(SLICE_BYTES // (block_size * dtype.itemsize) // together * together, together)
    count = -(-blocks // most)
    return min(-(-blocks // (count * together)) * together, blocks)
