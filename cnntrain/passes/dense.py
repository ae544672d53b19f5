"""The passes of a dense layer: a convolution whose filter covers its whole input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.convolution import dense
from cnntrain.kernels.layout import gather
from cnntrain.passes.convolution import packed_order
from cnntrain.passes.tiling import cut, length, side_by_side, tile_height
from cnntrain.passes.weight_gradient import DenseWeightGradient


def memory_order(channels: int, rows: int, columns: int) -> NDArray[np.intp]:
    """Return the canonical index (C, H, W order) of each input, inputs taken in the order (row, column, channel)."""
    return (
        np.arange(channels * rows * columns, dtype=np.intp).reshape(channels, rows, columns).transpose(1, 2, 0).ravel()
    )


class _Product:
    """Multiplication by a matrix whose flat weight indices are given as (output, input)."""

    def __init__(self, indices: NDArray[np.intp], blocks: int, dtype: np.dtype) -> None:
        self._pair = length(side_by_side(blocks, dtype))
        self._outputs, self._inputs = indices.shape
        self._tiles, height = cut(self._outputs, tile_height())
        self._tall, self._short = length(height), length(max(height - 1, 1))
        self._order = packed_order(indices[:, :, None, None], self._tiles, height)
        self._packed = np.empty(self._order.size, dtype)

    def __call__(self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, blocks: int) -> None:
        gather(weight, self._order, self._packed)
        dense(
            image, self._packed, bias, output, blocks, self._inputs, self._outputs,
            self._tiles, self._pair, self._tall, self._short,
        )  # fmt: skip


class Dense:
    """All passes of one dense layer, for batches of up to `blocks` blocks.

    Parameters
    ----------
    order : ndarray of int
        See `memory_order`.
    units : int
    blocks : int
    dtype : float32 or float64
    """

    def __init__(self, order: NDArray[np.intp], units: int, blocks: int, dtype: np.dtype) -> None:
        indices = np.arange(units, dtype=np.intp)[:, None] * order.size + order
        self.forward = _Product(indices, blocks, dtype)
        self._transposed = _Product(indices.T, blocks, dtype)
        self._zeros = np.zeros(order.size, dtype)
        self.backward_weight = DenseWeightGradient(order, units, blocks, dtype)

    def backward_input(self, delta: NDArray, weight: NDArray, grad_input: NDArray, blocks: int) -> None:
        """Write the delta times the transposed weights."""
        self._transposed(delta, weight, self._zeros, grad_input, blocks)
