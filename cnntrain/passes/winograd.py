"""The passes of convolutions with 3x3 or 5x5 filters and stride 1, by Winograd's algorithm."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Axis, length, plain
from cnntrain.kernels.layout import gather
from cnntrain.kernels.weight_gradient import Division
from cnntrain.kernels.winograd import COLUMNS, PLACES, ROOM, SIDE, Patches, correlate_patches, transform_filters
from cnntrain.kernels.winograd_input import add_patches
from cnntrain.kernels.winograd_rows import correlate_rows
from cnntrain.kernels.winograd_weights import gradient_of_places, weights_by_patches
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.tiling import cut, packed_order
from cnntrain.passes.weight_gradient import UNITS, tile_of
from cnntrain.shape import LANES

CACHE = 256 * 1024  # bytes of transformed patches at a time, a part of a common L2 cache
ENOUGH = 0.85  # share of the direct form's time below which another algorithm is worth its compilation and its scratch
LARGE = 200_000  # multiply-adds per image; of fewer, what a training saves is not worth the compilation
WORTH = 16  # patches that are worth sums of their own
FEW = 4  # channels that are worth transforming all filters' outputs or deltas for; row by row fewer are, forward
APART = 32  # channels for which it is worth transforming the delta again
PARTIAL = 8 * 1024 * 1024  # bytes of sums that are kept apart; more of them let more cores work


class Cost(NamedTuple):
    """Multiply-adds that take as long as transforms: of a patch of one channel, of the square of one filter."""

    patch: int
    square: int


COST = Cost(340, 200)
ROW_COSTS = {4: Cost(300, 220), 2: Cost(240, 60)}  # by the square's side


def row_by_row() -> bool:
    """Tell which of the two forms of the algorithm suits this machine: `kernels.winograd_rows` says why."""
    return this_machine().wide


def saves(
    row_phases: list[tuple[Axis, list[int]]], column_phases: list[tuple[Axis, list[int]]], indices: NDArray[np.intp]
) -> bool:
    """Tell whether the algorithm can compute a correlation, and in clearly less time than tap by tap."""
    axes = [axis for axis, _ in (*row_phases, *column_phases)]
    if len(axes) != 2:
        return False
    rows, columns = axes
    if not _computable(rows, columns, indices):
        return False
    outputs, inputs = indices.shape[1:3]
    if row_by_row():
        return _shortens(rows, columns, outputs, inputs, ROW_COSTS[_square(rows)])
    return inputs >= FEW and _shortens(rows, columns, outputs, inputs, COST)


def saves_input(rows: Axis, columns: Axis, indices: NDArray[np.intp]) -> bool:
    """Tell the same of the transposed map, with the forward axes: the image must have more patches than the output."""
    if not _computable(rows, columns, indices):
        return False
    inputs, outputs = indices.shape[1:3]
    image = -(-rows.input_size // _square(rows)) * -(-columns.input_size // _square(columns))
    return _patches(rows) * _patches(columns) < image and _shortens(rows, columns, inputs, outputs, COST)


def saves_weights(rows: Axis, columns: Axis, indices: NDArray[np.intp]) -> bool:
    """Tell the same of the gradient of the weights, whose filters are filled up to whole vectors."""
    outputs, inputs = indices.shape[1:3]
    if not _computable(rows, columns, indices) or outputs < LANES or inputs < FEW:
        return False
    return _shortens(rows, columns, outputs, inputs, COST, LANES)


def _shortens(rows: Axis, columns: Axis, outputs: int, inputs: int, cost: Cost, multiple: int = 1) -> bool:
    """Compare times, counted in multiply-adds, where outputs are filled up to a multiple of some number.

    That agrees with measurements to about a tenth.
    """
    filled = -(-outputs // multiple) * multiple
    patches = _patches(rows) * _patches(columns)
    time = patches * (PLACES * inputs * filled + cost.patch * inputs + cost.square * filled)
    direct = _visits(rows) * _visits(columns) * inputs * outputs
    return direct >= LARGE and time < ENOUGH * direct


def _computable(rows: Axis, columns: Axis, indices: NDArray[np.intp]) -> bool:
    """Tell whether it is a convolution with 3x3 or 5x5 taps, one pixel apart, one pixel after the other."""
    steps = all((axis.stride, axis.step, axis.dilation) == (1, 1, 1) for axis in (rows, columns))
    return steps and rows.taps == columns.taps and rows.taps in (3, 5) and indices.shape[0] == 1


def _square(axis: Axis) -> int:
    """Return how many outputs a patch has along an axis."""
    return SIDE + 1 - axis.taps


def _patches(axis: Axis) -> int:
    """Return how many patches an image has along an axis."""
    return -(-axis.count // _square(axis))


def _visits(axis: Axis) -> int:
    """Return how many pairs of an output and a tap read inside the image."""
    reads = [i + axis.offset + tap for i in range(axis.count) for tap in range(axis.taps)]
    return sum(0 <= read < axis.input_size for read in reads)


class _Workspace(threading.local):
    """Arrays that a pass needs only while it runs: all passes of a Python thread share them."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, np.dtype], NDArray] = {}

    def __call__(self, name: str, size: int, dtype: np.dtype) -> NDArray:
        """Return `size` numbers of any value."""
        array = self._arrays.get((name, dtype))
        if array is None or array.size < size:
            array = self._arrays[name, dtype] = line_aligned(size, dtype)
        return array[:size]


_workspace = _Workspace()


class _TransformedFilters:
    """The filters of one direction, their outputs cut into register tiles, and transformed anew for each batch."""

    def __init__(
        self, indices: NDArray[np.intp], taps: list[tuple[int, int]], square: int, height: int, dtype: np.dtype
    ) -> None:
        _, self.outputs, self.inputs = indices.shape[:3]
        self.tiles, self.tall, self.short = cut(self.outputs, height)
        self.square = length(square)
        order = [packed_order(indices[0, :, :, r : r + 1, s : s + 1], self.tiles, len(self.tall)) for r, s in taps]
        fill = -order[0].size % LANES  # with anything: what becomes of it is not used
        self._order = np.concatenate([np.pad(part, (0, fill)) for part in order])
        self._transformed = self._order.size // len(taps) * PLACES
        self._dtype = dtype

    def __call__(self, weight: NDArray) -> NDArray:
        """Return the transforms of the filters in `weight`."""
        packed = _workspace("packed", self._order.size, self._dtype)
        transformed = _workspace("transformed", self._transformed, self._dtype)
        gather(weight, self._order, packed)
        transform_filters(packed, transformed, self.square)
        return transformed


class _Stretch:
    """Scratch memory for the patches, at most `most`, that meet all filters before it is the next ones' turn."""

    def __init__(self, filters: _TransformedFilters, most: int, dtype: np.dtype) -> None:
        self.pair = length(2 if this_machine().side_by_side(2, dtype) == 2 else 1)
        cached = CACHE // (PLACES * filters.inputs * LANES * dtype.itemsize)
        self.patches = -(-max(min(cached, most), 1) // len(self.pair)) * len(self.pair)
        products = len(self.pair) * len(filters.tall)
        self._size = PLACES * (self.patches * filters.inputs + products + 2) * LANES + ROOM
        self._dtype = dtype

    def scratch(self, workers: int) -> NDArray:
        """Return room for a stretch of patches and a register tile's products, for each worker.

        Where a stretch is filled up, products of whatever is there are computed and not used.
        """
        return _workspace("scratch", workers * self._size, self._dtype)


class _Correlation(ABC):
    """What the two forms have in common; parameters as those of `passes.convolution.Correlation`."""

    def __init__(
        self,
        row_phases: list[tuple[Axis, list[int]]],
        column_phases: list[tuple[Axis, list[int]]],
        indices: NDArray[np.intp],
        blocks: int,
        dtype: np.dtype,
    ) -> None:
        [(rows, row_taps)], [(columns, column_taps)] = row_phases, column_phases
        taps = [(r, s) for r in row_taps for s in column_taps]
        self._dtype = dtype
        self._filters = _TransformedFilters(indices, taps, _square(rows), self._tile_height(), dtype)
        patches = Patches(_patches(rows), _patches(columns), 0)
        self._total = blocks * patches.rows * patches.columns
        patches = patches._replace(stretch=self._plan())
        self._geometry = plain(rows, columns, patches, self._filters.tiles)

    @abstractmethod
    def _tile_height(self) -> int:
        """Return how many filters a register tile has at most."""

    @abstractmethod
    def _plan(self) -> int:
        """Say how much memory and how many workers it takes, and return the length of a stretch, if there are any."""


class WinogradCorrelation(_Correlation):
    """What `passes.convolution.Correlation` does, for what `saves` allows."""

    def _tile_height(self) -> int:
        return this_machine().tall_tile_height

    def _plan(self) -> int:
        self._stretch = _Stretch(self._filters, -(-self._total // UNITS), self._dtype)  # enough for several workers
        self._units = -(-self._total // self._stretch.patches)
        return self._stretch.patches

    def __call__(self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, blocks: int) -> None:
        """Write `output` from `image`; `weight` is flat and canonical, `bias` has one number per output channel."""
        filters, stretch, workers = self._filters, self._stretch, min(self._units, numba.get_num_threads())
        correlate_patches(
            image, filters(weight), bias, output, stretch.scratch(workers), workers, blocks, filters.inputs,
            filters.outputs, self._geometry, filters.square, stretch.pair, filters.tall, filters.short,
        )  # fmt: skip


class WinogradRowCorrelation(_Correlation):
    """The same, a row of a patch at a time, for machines where that is faster: see `row_by_row`."""

    def _tile_height(self) -> int:
        return this_machine().accumulators // SIDE

    def _plan(self) -> int:
        filters = self._filters
        products = len(filters.square) * (filters.outputs + 1)
        self._room = SIDE * ((1 + COLUMNS) * (filters.inputs + 1) + products) * LANES
        return 0

    def __call__(self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, blocks: int) -> None:
        """Write `output` from `image`; `weight` is flat and canonical, `bias` has one number per output channel."""
        filters, workers = self._filters, min(self._total, numba.get_num_threads())
        correlate_rows(
            image, filters(weight), bias, output, _workspace("scratch", workers * self._room, self._dtype), workers,
            blocks, filters.inputs, filters.outputs, self._geometry, filters.square, filters.tall, filters.short,
        )  # fmt: skip


class WinogradInputGradient:
    """Backward to the input by the transposed map, for what `saves_input` allows.

    Parameters
    ----------
    rows, columns : Axis
        Of the forward pass.
    indices : ndarray of int
        Flat index of each weight, as (group, channel, filter, r, s).
    blocks : int
        Blocks in the largest batch.
    dtype : float32 or float64
    """

    def __init__(self, rows: Axis, columns: Axis, indices: NDArray[np.intp], blocks: int, dtype: np.dtype) -> None:
        taps = [(r, s) for r in range(rows.taps) for s in range(columns.taps)]
        self._filters = _TransformedFilters(indices, taps, _square(rows), this_machine().tall_tile_height, dtype)
        image = _patches(rows) * _patches(columns)  # no stretch is longer: blocks are done one by one
        self._stretch = _Stretch(self._filters, image, dtype)
        patches = Patches(_patches(rows), _patches(columns), self._stretch.patches)
        self._geometry = plain(rows, columns, patches, self._filters.tiles)

    def __call__(self, delta: NDArray, weight: NDArray, _: NDArray, grad_input: NDArray, blocks: int) -> None:
        """Write `grad_input` from `delta`; `weight` is flat and canonical."""
        filters, stretch = self._filters, self._stretch
        bundles = min(-(-numba.get_num_threads() // blocks), sum(filters.tiles))
        workers = min(numba.get_num_threads(), blocks * bundles)
        add_patches(
            delta, filters(weight), grad_input, stretch.scratch(workers), workers, blocks, bundles, filters.outputs,
            filters.inputs, self._geometry, filters.square, stretch.pair, filters.tall, filters.short,
        )  # fmt: skip


class WinogradWeightGradient:
    """What a `DirectWeightGradient` does, with the same parameters, for what `saves_weights` allows."""

    def __init__(self, rows: Axis, columns: Axis, indices: NDArray[np.intp], blocks: int, dtype: np.dtype) -> None:
        _, outputs, inputs = indices.shape[:3]
        vectors = -(-outputs // LANES)
        pair, height = tile_of(vectors)
        tiles, *sizes = cut(inputs, height)
        self._sizes = length(_square(rows)), length(pair), *sizes
        self._filled = -(-vectors // pair) * pair * LANES
        size = PLACES * inputs * self._filled
        patch_rows, patch_columns = _patches(rows), _patches(columns)
        total = blocks * patch_rows * patch_columns
        slots = max(min(UNITS, PARTIAL // (size * dtype.itemsize), total // WORTH), 1)
        bundles = max(min(UNITS // slots, inputs // APART), 1)
        channels = -(-sum(tiles) // bundles) * len(sizes[0])  # of a bundle, at most
        # at least four patches for each time that the sums are read and written
        stretch = max(2 * CACHE // (PLACES * (self._filled + channels) * LANES * dtype.itemsize), 4)
        self._inputs, self._outputs = inputs, outputs
        patches = Patches(patch_rows, patch_columns, stretch)
        self._geometry = plain(rows, columns, patches, Division(bundles, 1, slots, 0, 0), tiles)
        self._units = slots * bundles
        self._room = PLACES * (stretch * (self._filled + channels) + 2) * LANES + ROOM
        self._slots, self._size = slots, slots * size
        self._dtype = dtype
        self._canonical = indices[0].transpose(2, 3, 1, 0).ravel().astype(np.int64)

    def add(self, image: NDArray, delta: NDArray, blocks: int, *, fresh: bool) -> None:
        """Add the products of the first `blocks` blocks to the sums; those begin with zero if they are `fresh`.

        Until they are written, no other object of this class may begin sums in the same Python thread.
        """
        workers = min(self._units, numba.get_num_threads())
        scratch = _workspace("scratch", workers * self._room, self._dtype)
        partial = _workspace("partial", self._size, self._dtype)
        weights_by_patches(
            image, delta, partial, scratch, workers, blocks, fresh, self._inputs, self._outputs, self._geometry,
            *self._sizes,
        )  # fmt: skip

    def write(self, gradient: NDArray) -> None:
        """Write the gradient, flat, in canonical order."""
        partial = _workspace("partial", self._size, self._dtype)
        gradient_of_places(
            partial, self._slots, self._canonical, gradient, self._inputs, self._outputs, self._filled, self._sizes[0]
        )
