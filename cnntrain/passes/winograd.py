"""Convolutions with 3x3 filters and stride 1, forward or backward to the input, by Winograd's algorithm."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.convolution import Axis
from cnntrain.kernels.winograd import PLACES, Patches, correlate_3x3, transform_filters
from cnntrain.passes.tiling import LANES, cut, length, packed_order, side_by_side, tile_height

CACHE = 256 * 1024  # bytes of transformed patches at a time, a part of a common L2 cache
TRANSFORM = 100  # multiply-adds that take as long as the transforms of a patch of one channel


def saves(
    row_phases: list[tuple[Axis, list[int]]], column_phases: list[tuple[Axis, list[int]]], indices: NDArray[np.intp]
) -> bool:
    """Tell whether the algorithm can compute a correlation, and in less time than tap by tap.

    Times are counted in multiply-adds; `TRANSFORM` and the comparison agree with measurements to about a tenth.
    """
    axes = [axis for axis, _ in (*row_phases, *column_phases)]
    groups, outputs, inputs = indices.shape[:3]
    if len(axes) != 2 or groups > 1:
        return False
    if any((axis.taps, axis.stride, axis.step, axis.dilation) != (3, 1, 1, 1) for axis in axes):
        return False
    rows, columns = axes
    patches = -(-rows.count // 2) * (-(-columns.count // 4) * 2)
    direct = _visits(rows) * _visits(columns) * inputs * outputs
    return patches * (PLACES * inputs * outputs + TRANSFORM * (inputs + outputs)) < direct


def _visits(axis: Axis) -> int:
    """Return how many pairs of an output and a tap read inside the image."""
    reads = [i + axis.offset + tap for i in range(axis.count) for tap in range(axis.taps)]
    return sum(0 <= read < axis.input_size for read in reads)


class WinogradCorrelation:
    """What `passes.convolution.Correlation` does, with the same parameters, for what `saves` allows."""

    def __init__(
        self,
        row_phases: list[tuple[Axis, list[int]]],
        column_phases: list[tuple[Axis, list[int]]],
        indices: NDArray[np.intp],
        blocks: int,
        dtype: np.dtype,
    ) -> None:
        [(self._rows, row_taps)], [(self._columns, column_taps)] = row_phases, column_phases
        _, self._outputs, self._inputs = indices.shape[:3]
        self._tiles, self._tall, self._short = cut(self._outputs, tile_height())
        self._pair = length(2 if side_by_side(2, dtype) == 2 else 1)
        columns = -(-self._columns.count // 2)
        most = max(CACHE // (PLACES * self._inputs * LANES * dtype.itemsize), 1)
        stretch = min(-(-columns // -(-columns // most)), columns)
        stretch += stretch % len(self._pair)
        self._patches = Patches(-(-self._rows.count // 2), columns, stretch)
        self._order = np.concatenate([
            packed_order(indices[0, :, :, r : r + 1, s : s + 1], self._tiles, len(self._tall))
            for r in row_taps for s in column_taps
        ])  # fmt: skip
        self._transformed = np.empty(self._order.size // 9 * PLACES, dtype)
        available: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        self._slots = min(available, blocks * self._patches.rows)
        self._scratch = np.zeros(
            self._slots * PLACES * (stretch * (self._inputs + len(self._tall)) + 2) * LANES, dtype
        )  # zeros: where a stretch is filled up, products of whatever is there are computed and not used

    def __call__(self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, blocks: int) -> None:
        """Write `output` from `image`; `weight` is flat and canonical, `bias` has one number per output channel."""
        transform_filters(weight, self._order, self._transformed, self._inputs, self._tiles, len(self._tall))
        correlate_3x3(
            image, self._transformed, bias, output, self._scratch, min(self._slots, numba.get_num_threads()), blocks,
            self._rows, self._columns, self._inputs, self._outputs, self._patches, self._tiles,
            self._pair, self._tall, self._short,
        )  # fmt: skip
