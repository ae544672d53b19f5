"""Backward to the weights, for convolutions and (as a convolution over the batch) for dense layers."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import numba
import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Axis, Channels, Tiles, length, plain
from cnntrain.kernels.pooling import Pooled
from cnntrain.kernels.weight_gradient import Division, add_slots, bias_gradient
from cnntrain.kernels.weight_gradient_lanes import by_lanes
from cnntrain.kernels.weight_gradient_positions import by_positions
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.pooling import MaxPooling
from cnntrain.passes.tiling import cut, used_heights
from cnntrain.shape import LANES

UNITS = 16  # units of work to aim at: enough for many cores, whatever the number that this machine has
FEW = 8  # pixels whose sum takes less time than to start other threads
LARGE = 1 << 18  # weights: beyond this many, slots of their own cost more than transposing the image's rows again
LARGE_BY_LANES = 1 << 16  # the same of scheme A, in whose slots a weight takes 16 numbers
LATENCY = 8  # accumulators without which a core waits for its multiply-adds
MARGIN = 4  # pixels' time that a tile of scheme A takes to load and store
STRETCH = 24 * 1024  # bytes of image and delta that stay in the L1 cache
ONE = length(1)
_NO_MASK = np.empty(0, np.int16)


class BiasGradient:
    """The gradient of the biases: the delta summed over everything but its channel."""

    def __init__(self, outputs: int, dtype: np.dtype) -> None:
        self._partial = line_aligned(UNITS * outputs, dtype)

    def __call__(self, delta: NDArray[Any], gradient: NDArray[Any], pixels: int) -> None:
        """Sum over `pixels` pixels, those of all blocks counted."""
        bias_gradient(delta, self._partial, gradient, pixels, max(min(UNITS, pixels // FEW), 1))


class DirectWeightGradient:
    """The gradient of all weights of a convolution, and of the biases: what both schemes have in common.

    Parameters
    ----------
    rows, columns : Axis
        Of the forward pass.
    indices : ndarray of int
        Flat index of each weight in canonical order, as (group, filter, channel, r, s).
    blocks : int
        Blocks in the largest batch.
    dtype : float32 or float64

    Attributes
    ----------
    adds_biases : bool
        The gradient of the biases can be had along with that of the weights.
    """

    adds_biases: bool
    _sums_lanes: ClassVar[bool]  # the slots hold vectors whose lanes are still to be added

    def __init__(self, rows: Axis, columns: Axis, indices: NDArray[np.intp], blocks: int, dtype: np.dtype) -> None:
        self._dtype = dtype
        self._runs, self._run = _runs_of(rows, columns, indices)
        groups, outputs, inputs, _, _ = indices.shape
        self._channels = Channels(groups, inputs, outputs)
        # places count positions (r, s, c); in canonical order the channel comes first
        self._by_tap = indices.transpose(0, 1, 3, 4, 2).reshape(groups, outputs, self._runs * self._run)
        self._none = np.empty(0, dtype)

    def _reserve(self, division: Division, scratch: int, places: NDArray[np.intp], size: int, unit: int) -> None:
        """Make arrays: `scratch` numbers for each unit of work, a group's `size` places of `unit` numbers in a slot."""
        groups, _, outputs = self._channels
        self._scratch = line_aligned(groups * division.bundles * division.slots * scratch, self._dtype)
        self._partial = line_aligned(division.slots * groups * size * unit, self._dtype)
        self._sums = line_aligned(division.slots * groups * outputs, self._dtype)
        self._slots, self._slot_size = division.slots, groups * size * unit
        self._canonical = np.full(groups * size, -1, np.int64)
        self._canonical[(np.arange(groups)[:, None, None] * size + places).ravel()] = self._by_tap.ravel()

    def write(self, gradient: NDArray[Any], grad_bias: NDArray[Any] | None = None) -> None:
        """Write the gradient, flat, in canonical order, and that of the biases, which must have been added too."""
        bias = self._none if grad_bias is None else grad_bias
        add_slots(
            self._partial, self._sums, self._slots, self._slot_size, self._sums_lanes, self._canonical, gradient, bias
        )  # fmt: skip


class LaneWeightGradient(DirectWeightGradient):
    """Scheme A; with a `pooling`, from the gradient behind that max-pooling, whose windows lie side by side."""

    adds_biases = True
    _sums_lanes = True

    def __init__(
        self,
        rows: Axis,
        columns: Axis,
        indices: NDArray[np.intp],
        blocks: int,
        dtype: np.dtype,
        pooling: MaxPooling | None = None,
    ) -> None:
        super().__init__(rows, columns, indices, blocks, dtype)
        groups, inputs, outputs = self._channels
        filters, tiles, *sizes = _tiles_by_lanes(outputs, self._run)
        high, wide = (ONE, ONE) if pooling is None else pooling.window
        heights = used_heights(tiles, *sizes)
        self._sizes = length(filters), *heights, length(this_machine().register_lanes(dtype)), high, wide
        cuts, units = outputs // filters, max(UNITS // groups, 1)
        positions = self._runs * self._run
        size = outputs * positions
        bundles = max(min(units * size // LARGE_BY_LANES, cuts, units), 1)
        pooled = Pooled(rows.count, columns.count) if pooling is None else pooling.counts
        division = Division(bundles, 1, max(min(units // bundles, blocks * pooled.rows), 1), columns.count, 0)
        self._geometry = plain(rows, columns, self._channels, pooled, division, tiles)
        image_rows = (len(high) - 1) * rows.stride + (rows.taps - 1) * rows.dilation + 1
        routed = 0 if pooling is None else len(high) * columns.count * filters
        scratch = (image_rows * _reach(columns) * groups * inputs + routed) * LANES
        k, p = np.arange(outputs)[:, None], np.arange(positions)
        places = (k // filters * positions + p) * filters + k % filters
        self._reserve(division, scratch, places, size, LANES)

    def add(
        self,
        image: NDArray[Any],
        delta: NDArray[Any],
        blocks: int,
        *,
        fresh: bool,
        with_biases: bool = False,
        mask: NDArray[np.int16] | None = None,
    ) -> None:
        """Add the products of the first `blocks` blocks to the sums; those begin with zero if they are `fresh`.

        With a pooling, `delta` is the gradient behind it and `mask` is its mask.
        """
        by_lanes(
            image, delta, _NO_MASK if mask is None else mask, self._partial, self._sums if with_biases else self._none,
            self._scratch, blocks, fresh, self._geometry, *self._sizes,
        )  # fmt: skip


class PositionWeightGradient(DirectWeightGradient):
    """Scheme B."""

    _sums_lanes = False

    def __init__(self, rows: Axis, columns: Axis, indices: NDArray[np.intp], blocks: int, dtype: np.dtype) -> None:
        super().__init__(rows, columns, indices, blocks, dtype)
        groups, inputs, outputs = self._channels
        reach = (rows.taps - 1) * rows.dilation  # the scheme does not see rows of the delta that meet padding alone
        tops = [y * rows.stride + rows.offset for y in range(rows.count)]
        self.adds_biases = rows.dilation == 1 and all(-reach <= top < rows.input_size for top in tops)
        pair, height = tile_of(-(-self._run // LANES))
        tiles, *sizes = cut(outputs, height)
        self._sizes = length(pair), *sizes
        filled, units = _filled(self._run, pair), max(UNITS // groups, 1)
        bundles = max(min(units * indices.size // LARGE, sum(tiles), units), 1)
        slots = max(min(units // bundles, blocks * rows.input_size), 1)
        pixel = groups * (columns.stride * inputs + outputs) * LANES * dtype.itemsize
        stretch = min(max(STRETCH // pixel, 2), columns.count)
        scratch = _lane_stride(_reach(columns) * groups * inputs) * LANES
        k, r, p = np.arange(outputs)[:, None, None], np.arange(self._runs)[:, None], np.arange(self._run)
        places = ((k * self._runs + r) * filled + p).reshape(outputs, -1)  # runs are filled up to whole tiles
        division = Division(bundles, 1, slots, stretch, filled)
        self._geometry = plain(rows, columns, self._channels, division, tiles)
        self._reserve(division, scratch, places, outputs * self._runs * filled, 1)

    def add(
        self, image: NDArray[Any], delta: NDArray[Any], blocks: int, *, fresh: bool, with_biases: bool = False
    ) -> None:
        """Add the products of the first `blocks` blocks to the sums; those begin with zero if they are `fresh`."""
        sums = self._sums if with_biases else self._none
        by_positions(
            image, delta, self._partial, sums, self._scratch, blocks, fresh, self._geometry, *self._sizes
        )  # fmt: skip


def suits_lanes(rows: Axis, columns: Axis, indices: NDArray[np.intp]) -> bool:
    """Tell whether scheme A takes less time than B, which fills vectors up and is a sixteenth further from the peak."""
    _, run = _runs_of(rows, columns, indices)
    return run * (columns.count + MARGIN) <= (_filled(run, 1) + 1) * columns.count


def _runs_of(rows: Axis, columns: Axis, indices: NDArray[np.intp]) -> tuple[int, int]:
    """Return how many runs of positions a filter has, and how many positions a run."""
    groups, _, inputs, _, _ = indices.shape
    if columns.dilation == 1 and groups == 1:
        return rows.taps, columns.taps * inputs
    return rows.taps * columns.taps, inputs


class DenseWeightGradient:
    """The gradient of a dense layer's weights, (unit, input in memory order).

    It is that of a convolution with one tap, on an image with one row and a column for each block.
    """

    def __init__(self, inputs: int, units: int, blocks: int, dtype: np.dtype) -> None:
        pair = _pair()  # always, so that one compiled form does for all dense layers
        tiles, *sizes = cut(units, this_machine().tile_height)
        self._sizes = length(pair), *sizes
        pairs = -(-inputs // (pair * LANES))
        # no unit sums a part of the batch: their number may follow the machine, and few leave each a long row
        some = 2 * numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        chunks = min(some, pairs)
        bundles = max(min(some // chunks, sum(tiles)), 1)
        # rows that hold a tile are written into the gradient itself
        filled = max(inputs, pair * LANES)
        self._filled = None if filled == inputs else line_aligned(units * filled, dtype)
        self._cuts = plain(Channels(1, inputs, units), Division(bundles, chunks, 1, blocks, filled), tiles)
        width = (-(-pairs // chunks) + 1) * pair * LANES
        self._scratch = line_aligned(bundles * chunks * _lane_stride(blocks * width) * LANES, dtype)
        self._shape, self._none = (units, inputs), np.empty(0, dtype)

    def __call__(
        self,
        image: NDArray[Any],
        delta: NDArray[Any],
        gradient: NDArray[Any],
        grad_bias: NDArray[Any] | None,
        blocks: int,
    ) -> None:
        """Write the gradients (flat) from the first `blocks` blocks."""
        partial = gradient if self._filled is None else self._filled
        sums = self._none if grad_bias is None else grad_bias
        geometry = _batch_axes(blocks) + self._cuts
        by_positions(image, delta, partial, sums, self._scratch, 1, True, geometry, *self._sizes)
        if self._filled is not None:
            units, inputs = self._shape
            gradient.reshape(self._shape)[...] = self._filled.reshape(units, -1)[:, :inputs]


@cache
def _batch_axes(blocks: int) -> tuple[tuple[int, ...], ...]:
    """Return the axes of an image with one row, and a column for each block."""
    return plain(Axis(1, 1, 0, 1, 1, 1, 0, 1, 1), Axis(blocks, blocks, 0, 1, blocks, 1, 0, 1, 1))


def _pair() -> int:
    """Return the vectors of positions that a tile of scheme B usually has."""
    return 2 if this_machine().accumulators >= 2 * this_machine().tile_height else 1


def tile_of(vectors: int) -> tuple[int, int]:
    """Return vectors and filters of a tile for runs of `vectors` vectors, so that no tile is filled up if possible."""
    if _pair() == 1:
        return 1, this_machine().tile_height
    if vectors == 1:
        return 1, 2 * this_machine().tall_tile_height
    pair = next((pair for pair in (2, 3, 5, 7) if vectors % pair == 0), 2)
    return pair, min(this_machine().accumulators // pair, this_machine().tile_height)


def _tiles_by_lanes(outputs: int, run: int) -> tuple[int, Tiles, tuple[int, ...], tuple[int, ...]]:
    """Choose how many filters a tile of scheme A has (a divisor of their number), and how a run of positions is cut.

    The accumulators, a pixel's positions and one filter must fit the registers. A tile takes as long as its
    multiply-adds, or its loads, of which a core does as many, or as its few accumulators make it wait.
    """
    choices: list[tuple[int, int, tuple[int, Tiles, tuple[int, ...], tuple[int, ...]]]] = []
    for filters in (number for number in range(1, 9) if outputs % number == 0):
        tiles, *sizes = cut(run, (this_machine().registers - 1) // (filters + 1))
        kinds = [(count, len(positions)) for count, positions in zip(tiles, sizes, strict=True)]
        loads = sum(count * (filters + positions) for count, positions in kinds)
        time = sum(count * max(filters * positions, filters + positions, LATENCY) for count, positions in kinds)
        choices.append((outputs // filters * time, outputs // filters * loads, (filters, tiles, sizes[0], sizes[1])))
    return min(choices)[2]


def _reach(columns: Axis) -> int:
    """Return how many pixels of a row, margins included, the taps reach."""
    return (columns.count - 1) * columns.stride + (columns.taps - 1) * columns.dilation + 1


def _lane_stride(size: int) -> int:
    """Return what `kernels.weight_gradient_positions.lane_stride` does."""
    return (size // LANES + 3 | 1) * LANES


def _filled(run: int, pair: int) -> int:
    """Return a run's length, filled up to whole tiles of `pair` vectors."""
    return -(-run // (pair * LANES)) * pair * LANES
