"""Backward to the weights, for convolutions and (as a convolution over the batch) for dense layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.convolution import Axis, Channels
from cnntrain.kernels.weight_gradient import Division, add_slots, weight_gradient
from cnntrain.passes.tiling import LANES, accumulators, cut, length

UNITS = 16  # units of work to aim at: enough for many cores, whatever the number that this machine has
FEW_POSITIONS = 80  # scheme A keeps 16 numbers for each weight; beyond this many positions they leave the cache


def filters_by_lanes(outputs: int, positions: int) -> int:
    """Return how many filters share a tile of scheme A, or 0 where scheme B is better.

    B fills whole vectors of 16 filters; A takes over when more than a third of them would be empty.
    """
    full = outputs / (-(-outputs // LANES) * LANES)
    if full > 0.66 or (positions > FEW_POSITIONS and outputs > 4):
        return 0
    limit = 6 if accumulators() >= 24 else 3
    return max(size for size in range(1, max(limit, outputs if outputs <= 8 and accumulators() >= 24 else 0) + 1)
               if outputs % size == 0)  # fmt: skip


class WeightGradient:
    """The gradient of all weights and biases of a layer.

    Parameters
    ----------
    rows, columns : Axis
        Of the forward pass.
    indices : ndarray of int
        Flat index of each weight in canonical order, as (group, filter, channel, r, s).
    blocks : int
        Blocks in the largest batch.
    dtype : float32 or float64
    """

    def __init__(self, rows: Axis, columns: Axis, indices: NDArray[np.intp], blocks: int, dtype: np.dtype) -> None:
        groups, outputs, inputs, _, _ = indices.shape
        self._rows, self._columns = rows, columns
        self._channels = Channels(groups, inputs, outputs)
        positions = rows.taps * columns.taps * inputs
        by_lanes = filters_by_lanes(outputs, positions)
        if by_lanes:
            bundle, bundle_filters, largest = by_lanes, by_lanes, max(accumulators() // by_lanes, 1)
        else:
            bundle = 2 if outputs > LANES and accumulators() >= 24 else 1
            bundle_filters, largest = bundle * LANES, 8 if accumulators() >= 24 else 6
        self._by_lanes = by_lanes > 0
        contiguous = columns.dilation == 1 and groups == 1
        self._tiles, height = cut(columns.taps * inputs if contiguous else inputs, largest)
        self._sizes = length(bundle), length(height), length(max(height - 1, 1))

        bundles = -(-outputs // bundle_filters)
        slots = max(min(UNITS // (groups * bundles), blocks * rows.count), 1)
        chunks = max(min(UNITS // (groups * bundles * slots), sum(self._tiles)), 1)
        self._division = Division(bundles, chunks, slots)

        width = bundle * LANES
        self._slot_size = groups * bundles * (positions + 1) * width
        self._partial = np.empty(slots * self._slot_size, dtype)
        units = groups * bundles * chunks * slots
        reach = (columns.count - 1) * columns.stride + (columns.taps - 1) * columns.dilation + 1
        overhang = columns.offset < 0 or columns.offset + reach > columns.input_size
        self._margins = np.empty(units * reach * groups * inputs * LANES if overhang else 0, dtype)
        self._transposed = None if by_lanes else np.empty(units * columns.count * LANES * width, dtype)

        k = np.arange(outputs)
        filter_place = k // bundle_filters * ((positions + 1) * width) + k % bundle_filters * (LANES if by_lanes else 1)
        place = np.arange(groups)[:, None] * (bundles * (positions + 1) * width) + filter_place
        # positions are counted (r, s, c): canonical order has c before them
        position = np.arange(positions).reshape(rows.taps, columns.taps, inputs).transpose(2, 0, 1) * width
        self._where = np.empty(indices.size, np.intp)
        self._where[indices.ravel()] = (place[:, :, None, None, None] + position).ravel()
        self._where_bias = place.ravel() + positions * width

    def __call__(
        self, image: NDArray, delta: NDArray, grad_weight: NDArray, grad_bias: NDArray | None, blocks: int
    ) -> None:
        """Write grad_weight (flat, canonical order) and grad_bias from the first `blocks` blocks."""
        self._accumulate(image, delta, self._rows, self._columns, blocks)
        slots = self._division.slots
        add_slots(self._partial, slots, self._slot_size, self._by_lanes, self._where, grad_weight)
        if grad_bias is not None:
            add_slots(self._partial, slots, self._slot_size, self._by_lanes, self._where_bias, grad_bias)

    def _accumulate(self, image: NDArray, delta: NDArray, rows: Axis, columns: Axis, blocks: int) -> None:
        weight_gradient(
            image, delta, self._partial, self._margins, self._transposed, blocks, rows, columns,
            self._channels, self._division, self._tiles, *self._sizes,
        )  # fmt: skip


class DenseWeightGradient(WeightGradient):
    """A dense layer's gradient: a 1x1 convolution of an image with one row, a column for each block.

    `order` is the canonical index of each input in the order in which inputs lie in memory.
    """

    def __init__(self, order: NDArray[np.intp], units: int, blocks: int, dtype: np.dtype) -> None:
        indices = np.arange(units)[:, None] * order.size + order
        super().__init__(_line(1), _line(blocks), indices.reshape(1, units, order.size, 1, 1).astype(np.intp), 1, dtype)

    def _accumulate(self, image: NDArray, delta: NDArray, rows: Axis, columns: Axis, blocks: int) -> None:
        super()._accumulate(image, delta, rows, _line(blocks), 1)


def _line(size: int) -> Axis:
    return Axis(size, size, 0, 1, size, 1, 0, 1, 1)
