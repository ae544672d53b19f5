"""Backward to the weights by scheme B: vectors of positions times numbers, for convolutions and dense layers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Axis, Channels, length, plain
from cnntrain.kernels.weight_gradient import Division
from cnntrain.kernels.weight_gradient_positions import by_positions
from cnntrain.machine import Machine
from cnntrain.memory import line_aligned
from cnntrain.passes.problem import Problem
from cnntrain.passes.tiling import cut
from cnntrain.passes.weight_sums import UNITS, SlottedWeights
from cnntrain.shape import LANES

LARGE = 1 << 18  # weights: beyond this many, slots of their own cost more than transposing the image's rows again
STRETCH = 24 * 1024  # bytes of image and delta that stay in the L1 cache


class WeightsByPositions(SlottedWeights):
    """Scheme B, for every convolution."""

    name = "by positions"
    sums_lanes = False

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        rows, columns = problem.forward_axes
        groups, inputs, outputs = self._channels
        reach = (rows.taps - 1) * rows.dilation  # the scheme does not see rows of the delta that meet padding alone
        tops = [y * rows.stride + rows.offset for y in range(rows.count)]
        self.adds_biases = rows.dilation == 1 and all(-reach <= top < rows.input_size for top in tops)
        pair, height = tile_of(-(-self._run // LANES), problem.machine)
        tiles, *sizes = cut(outputs, height)
        self._sizes = length(pair), *sizes
        filled, units = filled_run(self._run, pair), max(UNITS // groups, 1)
        bundles = max(min(units * problem.order.size // LARGE, sum(tiles), units), 1)
        slots = max(min(units // bundles, problem.blocks * rows.input_size), 1)
        pixel = groups * (columns.stride * inputs + outputs) * LANES * problem.dtype.itemsize
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
        sums = self._sums if with_biases else self._none
        by_positions(
            image, delta, self._partial, sums, self._scratch, blocks, fresh, self._geometry, *self._sizes
        )  # fmt: skip


class DenseWeights:
    """The gradient of a dense layer's weights, (unit, input in memory order).

    It is that of a convolution with one tap, on an image with one row and a column for each block.
    """

    def __init__(self, inputs: int, units: int, blocks: int, dtype: np.dtype, machine: Machine) -> None:
        pair = usual_pair(machine)  # always, so that one compiled form does for all dense layers
        tiles, *sizes = cut(units, machine.tile_height)
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


def usual_pair(machine: Machine) -> int:
    """Return the vectors of positions that a tile usually has."""
    return 2 if machine.accumulators >= 2 * machine.tile_height else 1


def tile_of(vectors: int, machine: Machine) -> tuple[int, int]:
    """Return vectors and filters of a tile for runs of `vectors` vectors, so that no tile is filled up if possible."""
    if usual_pair(machine) == 1:
        return 1, machine.tile_height
    if vectors == 1:
        return 1, 2 * machine.tall_tile_height
    pair = next((pair for pair in (2, 3, 5, 7) if vectors % pair == 0), 2)
    return pair, min(machine.accumulators // pair, machine.tile_height)


def filled_run(run: int, pair: int) -> int:
    """Return a run's length, filled up to whole tiles of `pair` vectors."""
    return -(-run // (pair * LANES)) * pair * LANES


def _reach(columns: Axis) -> int:
    """Return how many pixels of a row, margins included, the taps reach."""
    return (columns.count - 1) * columns.stride + (columns.taps - 1) * columns.dilation + 1


def _lane_stride(size: int) -> int:
    """Return what `kernels.weight_gradient_positions.lane_stride` does."""
    return (size // LANES + 3 | 1) * LANES
