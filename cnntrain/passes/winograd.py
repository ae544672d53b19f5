"""The passes of convolutions with 3x3 filters and stride 1, by Winograd's algorithm."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.convolution import Axis
from cnntrain.kernels.weight_gradient import Division
from cnntrain.kernels.winograd import PLACES, Patches, correlate_3x3, transform_filters
from cnntrain.kernels.winograd_weights import gradient_3x3, weights_3x3
from cnntrain.passes.tiling import LANES, cut, length, packed_order, side_by_side, tall_tile_height
from cnntrain.passes.weight_gradient import UNITS, tile_of

CACHE = 256 * 1024  # bytes of transformed patches at a time, a part of a common L2 cache
TRANSFORM = 100  # multiply-adds that take as long as the transforms of a patch of one channel
TRANSPOSITION = 180  # the same with its transposition, and for the slower loops around
WORTH = 32  # patches that are worth sums of their own; filters for which it is worth transforming patches again
PARTIAL = 16 * 1024 * 1024  # bytes of sums that are kept apart; more of them let more cores work


def saves(
    row_phases: list[tuple[Axis, list[int]]], column_phases: list[tuple[Axis, list[int]]], indices: NDArray[np.intp]
) -> bool:
    """Tell whether the algorithm can compute a correlation, and in less time than tap by tap.

    Times are counted in multiply-adds; `TRANSFORM` and the comparison agree with measurements to about a tenth.
    """
    axes = [axis for axis, _ in (*row_phases, *column_phases)]
    if len(axes) != 2:
        return False
    rows, columns = axes
    if not _computable(rows, columns, indices):
        return False
    outputs, inputs = indices.shape[1:3]
    patches = -(-rows.count // 2) * (-(-columns.count // 4) * 2)
    direct = _visits(rows) * _visits(columns) * inputs * outputs
    return patches * (PLACES * inputs * outputs + TRANSFORM * (inputs + outputs)) < direct


def saves_weights(rows: Axis, columns: Axis, indices: NDArray[np.intp]) -> bool:
    """Tell the same of the gradient of the weights, whose channels are filled up to whole vectors."""
    if not _computable(rows, columns, indices):
        return False
    outputs, inputs = indices.shape[1:3]
    patches = -(-rows.count // 2) * -(-columns.count // 2)
    direct = _visits(rows) * _visits(columns) * inputs * outputs
    filled = -(-inputs // LANES) * LANES
    return patches * (PLACES * filled * outputs + TRANSPOSITION * filled + TRANSFORM * outputs) < direct


def _computable(rows: Axis, columns: Axis, indices: NDArray[np.intp]) -> bool:
    """Tell whether it is a convolution with 3x3 taps, one pixel apart, one pixel after the other."""
    same = all((axis.taps, axis.stride, axis.step, axis.dilation) == (3, 1, 1, 1) for axis in (rows, columns))
    return same and indices.shape[0] == 1


def _workers(units: int) -> int:
    """Return how many stretches are worked on at the same time at most: as many as there may be threads."""
    available: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    return min(available, units)


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
        self._tiles, self._tall, self._short = cut(self._outputs, tall_tile_height())
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
        self._workers = _workers(blocks * self._patches.rows)
        self._scratch = np.zeros(
            self._workers * PLACES * (stretch * (self._inputs + len(self._tall)) + 2) * LANES, dtype
        )  # zeros: where a stretch is filled up, products of whatever is there are computed and not used

    def __call__(self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, blocks: int) -> None:
        """Write `output` from `image`; `weight` is flat and canonical, `bias` has one number per output channel."""
        transform_filters(weight, self._order, self._transformed, self._inputs, self._tiles, len(self._tall))
        correlate_3x3(
            image, self._transformed, bias, output, self._scratch, min(self._workers, numba.get_num_threads()), blocks,
            self._rows, self._columns, self._inputs, self._outputs, self._patches, self._tiles,
            self._pair, self._tall, self._short,
        )  # fmt: skip


class WinogradWeightGradient:
    """What `passes.weight_gradient.WeightGradient` does, with the same parameters, for what `saves_weights` allows."""

    def __init__(self, rows: Axis, columns: Axis, indices: NDArray[np.intp], blocks: int, dtype: np.dtype) -> None:
        _, outputs, inputs = indices.shape[:3]
        vectors = -(-inputs // LANES)
        pair, height = tile_of(vectors)
        self._tiles, *sizes = cut(outputs, height)
        self._sizes = length(pair), *sizes
        self._channels = -(-vectors // pair) * pair * LANES
        size = PLACES * outputs * self._channels
        patch_rows, patch_columns = -(-rows.count // 2), -(-columns.count // 2)
        patches = blocks * patch_rows * patch_columns
        slots = max(min(UNITS, PARTIAL // (size * dtype.itemsize), patches // WORTH), 1)
        bundles = max(min(UNITS // slots, outputs // WORTH), 1)
        filters = -(-sum(self._tiles) // bundles) * len(sizes[0])  # of a bundle, at most
        most = max(2 * CACHE // (PLACES * (self._channels + filters) * LANES * dtype.itemsize), 1)
        stretch = -(-patch_columns // -(-patch_columns // most))
        self._arguments = rows, columns, inputs, outputs
        self._cuts = Patches(patch_rows, patch_columns, stretch), Division(bundles, 1, slots), self._tiles
        self._workers = _workers(slots * bundles)
        lines = PLACES * (stretch * (self._channels + filters) + 2 + LANES + 1)
        self._scratch = np.zeros(self._workers * lines * LANES, dtype)
        self._room = lines * LANES
        self._partial = np.empty(slots * size, dtype)
        self._slots = slots
        self._canonical = indices[0].transpose(2, 3, 0, 1).ravel().astype(np.int64)

    def __call__(self, image: NDArray, delta: NDArray, gradient: NDArray, blocks: int) -> None:
        """Write the gradient (flat, canonical order) from the first `blocks` blocks."""
        workers = min(self._workers, numba.get_num_threads())
        scratch = self._scratch[: workers * self._room]
        weights_3x3(image, delta, self._partial, scratch, workers, blocks, *self._arguments, *self._cuts, *self._sizes)
        _, _, inputs, outputs = self._arguments
        gradient_3x3(self._partial, self._slots, self._canonical, gradient, inputs, outputs, self._channels)
