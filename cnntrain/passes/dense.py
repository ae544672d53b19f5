"""The passes of a dense layer: a convolution whose filter covers its whole input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.dense import Matrix, multiply
from cnntrain.kernels.few_dense import STRIP, input_of_few, room, weights_of_few
from cnntrain.kernels.geometry import length, plain
from cnntrain.machine import FEW, Machine, this_machine
from cnntrain.passes.problem import Direction
from cnntrain.passes.tiling import cut
from cnntrain.passes.weights_by_positions import DenseWeights
from cnntrain.passes.workspace import workspace
from cnntrain.shape import LANES

UNITS = 16  # of work, at most
# One for each pass: there is nothing to choose.
ALGORITHMS: dict[Direction, str] = {
    "forward": "matrix product",
    "to input": "matrix product",
    "to weights": "by positions",
}


def shape_of(inputs: int, units: int) -> str:
    """Say what the arithmetic depends on."""
    return f"{inputs}→{units}"


def memory_order(channels: int, rows: int, columns: int) -> NDArray[np.intp]:
    """Return the canonical index (C, H, W order) of each input, inputs taken in the order (row, column, channel)."""
    indices = np.arange(channels * rows * columns, dtype=np.intp)
    return indices.reshape(channels, rows, columns).transpose(1, 2, 0).ravel()


class Dense:
    """All passes of one dense layer, for batches of up to `blocks` blocks.

    The weights are flat, (unit, input), with the inputs in the order in which they lie in memory.

    Parameters
    ----------
    inputs, units, blocks : int
    dtype : float32 or float64
    machine : Machine or None
        What work is cut for; None is this one.
    few : bool
        No batch has more than `FEW` images.

    Attributes
    ----------
    few : FewImages or None
        What takes the place of the ways back, if there are enough inputs: the same bits, without the empty lanes.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        blocks: int,
        dtype: np.dtype,
        machine: Machine | None = None,
        *,
        few: bool = False,
    ) -> None:
        machine = this_machine() if machine is None else machine
        self._inputs, self._units = inputs, units
        pair = length(machine.side_by_side(blocks, dtype))
        forward_tiles, *forward_sizes = cut(units, machine.tile_height)
        backward_tiles, *backward_sizes = cut(inputs, machine.tile_height)
        self._forward = plain(Matrix(inputs, units, inputs, 1), forward_tiles), (pair, *forward_sizes)
        self._backward = plain(Matrix(units, inputs, 1, inputs), backward_tiles), (pair, *backward_sizes)
        self._zeros = np.zeros(inputs, dtype)
        self._weights = DenseWeights(inputs, units, blocks, dtype, machine)
        self.few = FewImages(inputs, units, dtype) if few and inputs >= STRIP else None

    @property
    def macs(self) -> int:
        """Multiply-adds per image of any one pass."""
        return self._inputs * self._units

    def __str__(self) -> str:
        return shape_of(self._inputs, self._units)

    def forward(
        self, image: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any], output: NDArray[Any], blocks: int
    ) -> None:
        """Write bias + weight times image."""
        multiply(image, weight, bias, output, blocks, *self._forward)

    def backward_input(self, delta: NDArray[Any], weight: NDArray[Any], grad_input: NDArray[Any], blocks: int) -> None:
        """Write the transposed weight times delta."""
        multiply(delta, weight, self._zeros, grad_input, blocks, *self._backward)

    def backward_weight(
        self,
        image: NDArray[Any],
        delta: NDArray[Any],
        grad_weight: NDArray[Any],
        grad_bias: NDArray[Any] | None,
        blocks: int,
    ) -> None:
        """Write delta times the transposed image, and the sum of delta per unit."""
        self._weights(image, delta, grad_weight, grad_bias, blocks)


class FewImages:
    """Backward through a dense layer with at most `FEW` images: the same bits as with whole blocks, in less time."""

    def __init__(self, inputs: int, units: int, dtype: np.dtype) -> None:
        self._shape, self._dtype = (inputs, units), dtype
        self._units = min(units, UNITS), min(-(-inputs // LANES), UNITS)
        self._room, self._nobody = room(inputs, FEW), np.empty(0, dtype)

    def backward_weight(
        self,
        image: NDArray[Any],
        delta: NDArray[Any],
        gradient: NDArray[Any],
        grad_bias: NDArray[Any] | None,
        images: int,
    ) -> None:
        """Write the gradients of the weights and biases."""
        units = self._units[0]
        scratch = workspace("scratch", units * self._room, self._dtype)
        sums = gradient, self._nobody if grad_bias is None else grad_bias
        weights_of_few(image, delta, sums, scratch, images, self._shape, (units, self._room))

    def backward_input(self, delta: NDArray[Any], weight: NDArray[Any], grad_input: NDArray[Any], images: int) -> None:
        """Write the gradient of the input."""
        scratch = workspace("scratch", self._room, self._dtype)
        input_of_few(delta, weight, grad_input, scratch, images, self._shape, self._units[1])
