"""Backward to the weights, for convolutions and (as a convolution over the batch) for dense layers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.convolution import Axis, Channels
from cnntrain.kernels.weight_gradient import Division, add_slots, bias_gradient, by_lanes, by_positions
from cnntrain.passes.memory import line_aligned
from cnntrain.passes.tiling import LANES, accumulators, cut, length, plain, tall_tile_height, tile_height

UNITS = 16  # units of work to aim at: enough for many cores, whatever the number that this machine has
FEW = 8  # pixels whose sum takes less time than to start other threads
LARGE = 1 << 18  # weights: beyond this many, slots of their own cost more than transposing the image's rows again


class BiasGradient:
    """The gradient of the biases: the delta summed over everything but its channel."""

    def __init__(self, outputs: int, dtype: np.dtype) -> None:
        self._partial = line_aligned(UNITS * outputs, dtype)

    def __call__(self, delta: NDArray[Any], gradient: NDArray[Any], pixels: int) -> None:
        """Sum over `pixels` pixels, those of all blocks counted."""
        bias_gradient(delta, self._partial, gradient, pixels, max(min(UNITS, pixels // FEW), 1))


class WeightGradient:
    """The gradient of all weights of a convolution, by the better of the two schemes.

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
        contiguous = columns.dilation == 1 and groups == 1
        runs, run = (rows.taps, columns.taps * inputs) if contiguous else (rows.taps * columns.taps, inputs)
        self._by_lanes = 8 * run <= 5 * LANES  # scheme B would leave 3/8 of each vector empty, or more
        units, lines = max(UNITS // groups, 1), blocks * rows.input_size
        if self._by_lanes:
            filters = _largest_divisor(outputs, accumulators() // run)  # a whole run of positions in one tile
            if filters < 4:
                filters = _largest_divisor(outputs, max(accumulators() // 4, 2))  # with 8, accumulators are spilled
            bundles = outputs // filters
            tiles, *sizes = cut(run, max(accumulators() // filters, 2))
            self._sizes = length(filters), *sizes
            scratch = _reach(columns) * groups * inputs * LANES
            places, size = _places_by_lanes(runs * run, outputs, filters), outputs * runs * run * LANES
        else:
            vectors = -(-run // LANES)
            pair, height = tile_of(vectors)
            tiles, *sizes = cut(outputs, height)
            bundles = max(min(units * indices.size // LARGE, sum(tiles), units), 1)
            self._sizes = length(pair), *sizes
            scratch = _lane_stride(_reach(columns) * groups * inputs) * LANES
            filled = _filled(run, pair)
            places, size = _places_by_positions(runs, run, filled, outputs), outputs * runs * filled
        slots = max(min(units // bundles, lines), 1)
        channels, division = Channels(groups, inputs, outputs), Division(bundles, 1, slots)
        self._geometry = plain(rows, columns, channels, division, tiles)
        self._scratch = line_aligned(groups * bundles * slots * scratch, dtype)
        self._partial = line_aligned(slots * groups * size, dtype)
        self._slots, self._slot_size = slots, groups * size
        # places count positions (r, s, c); in canonical order the channel comes first
        by_tap = indices.transpose(0, 1, 3, 4, 2).reshape(groups, outputs, runs * run)
        unit = LANES if self._by_lanes else 1
        self._canonical = np.full(groups * size // unit, -1, np.int64)
        self._canonical[((np.arange(groups)[:, None, None] * size + places) // unit).ravel()] = by_tap.ravel()

    def add(self, image: NDArray[Any], delta: NDArray[Any], blocks: int, *, fresh: bool) -> None:
        """Add the products of the first `blocks` blocks to the sums; those begin with zero if they are `fresh`."""
        kernel = by_lanes if self._by_lanes else by_positions
        kernel(image, delta, self._partial, self._scratch, blocks, fresh, self._geometry, *self._sizes)

    def write(self, gradient: NDArray[Any]) -> None:
        """Write the gradient, flat, in canonical order."""
        add_slots(self._partial, self._slots, self._slot_size, self._by_lanes, self._canonical, gradient)


class DenseWeightGradient:
    """The gradient of a dense layer's weights, (unit, input in memory order).

    It is that of a convolution with one tap, on an image with one row and a column for each block.
    """

    def __init__(self, inputs: int, units: int, blocks: int, dtype: np.dtype) -> None:
        pair = _pair()  # always, so that one compiled form does for all dense layers
        tiles, *sizes = cut(units, tile_height())
        self._sizes = length(pair), *sizes
        pairs = -(-inputs // (pair * LANES))
        # no unit sums a part of the batch: their number may follow the machine, and few leave each a long row
        some = 2 * numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        chunks = min(some, pairs)
        bundles = max(min(some // chunks, sum(tiles)), 1)
        self._cuts = plain(Channels(1, inputs, units), Division(bundles, chunks, 1), tiles)
        width = -(-pairs // chunks) * pair * LANES
        self._scratch = line_aligned(bundles * chunks * _lane_stride(blocks * width) * LANES, dtype)
        # rows of whole tiles are written into the gradient itself
        filled = _filled(inputs, pair)
        self._filled = None if filled == inputs else line_aligned(units * filled, dtype)
        self._shape = units, inputs

    def __call__(self, image: NDArray[Any], delta: NDArray[Any], gradient: NDArray[Any], blocks: int) -> None:
        """Write the gradient (flat) from the first `blocks` blocks."""
        partial = gradient if self._filled is None else self._filled
        by_positions(image, delta, partial, self._scratch, 1, True, _batch_axes(blocks) + self._cuts, *self._sizes)
        if self._filled is not None:
            units, inputs = self._shape
            gradient.reshape(self._shape)[...] = self._filled.reshape(units, -1)[:, :inputs]


@cache
def _batch_axes(blocks: int) -> tuple[tuple[int, ...], ...]:
    """Return the axes of an image with one row, and a column for each block."""
    return plain(Axis(1, 1, 0, 1, 1, 1, 0, 1, 1), Axis(blocks, blocks, 0, 1, blocks, 1, 0, 1, 1))


def _pair() -> int:
    """Return the vectors of positions that a tile of scheme B usually has."""
    return 2 if accumulators() >= 2 * tile_height() else 1


def tile_of(vectors: int) -> tuple[int, int]:
    """Return vectors and filters of a tile for runs of `vectors` vectors, so that no tile is filled up if possible."""
    if _pair() == 1:
        return 1, tile_height()
    if vectors == 1:
        return 1, 2 * tall_tile_height()
    pair = next((pair for pair in (2, 3, 5, 7) if vectors % pair == 0), 2)
    return pair, min(accumulators() // pair, tile_height())


def _largest_divisor(number: int, limit: int) -> int:
    """Return the largest divisor of `number` that is at most `limit`, or 1."""
    return max((size for size in range(1, limit + 1) if number % size == 0), default=1)


def _reach(columns: Axis) -> int:
    """Return how many pixels of a row, margins included, the taps reach."""
    return (columns.count - 1) * columns.stride + (columns.taps - 1) * columns.dilation + 1


def _lane_stride(size: int) -> int:
    """Return what `kernels.weight_gradient.lane_stride` does."""
    return (size // LANES + 3 | 1) * LANES


def _filled(run: int, pair: int) -> int:
    """Return a run's length, filled up to whole tiles of `pair` vectors."""
    return -(-run // (pair * LANES)) * pair * LANES


def _places_by_lanes(positions: int, outputs: int, filters: int) -> NDArray[np.intp]:
    """Return where scheme A keeps (filter, position) of a group."""
    k, p = np.arange(outputs)[:, None], np.arange(positions)
    return ((k // filters * positions + p) * filters + k % filters) * LANES


def _places_by_positions(runs: int, run: int, filled: int, outputs: int) -> NDArray[np.intp]:
    """Return where scheme B keeps (filter, position) of a group: runs are filled up to whole tiles."""
    k, r, p = np.arange(outputs)[:, None, None], np.arange(runs)[:, None], np.arange(run)
    return ((k * runs + r) * filled + p).reshape(outputs, runs * run)
