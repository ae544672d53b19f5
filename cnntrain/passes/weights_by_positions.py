"""Backward to the weights by positions: vectors of positions times numbers, for convolutions and dense layers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Axis, Channels, length, plain
from cnntrain.kernels.weight_gradient import Division, runs_of, units_of
from cnntrain.kernels.weight_gradient_positions import (
    Geometry,
    Lengths,
    Sizes,
    by_positions,
    filled_run,
    filter_size_by_positions,
    room_by_positions,
    tiles_of_run,
)
from cnntrain.machine import Machine
from cnntrain.memory import line_aligned
from cnntrain.passes.problem import Problem
from cnntrain.passes.tiling import cut
from cnntrain.passes.weight_sums import ENOUGH_UNITS, SlottedWeights
from cnntrain.shape import LANES

SLOTTED = 1 << 18  # weights times slots: more sums apart cost more than transposing rows again (measured on Zen 3)
STRETCH = 24 * 1024  # bytes of image and delta that stay in an L1 cache of 32 KB


class WeightsByPositions(SlottedWeights):
    """By positions, for every convolution."""

    name = "by positions"
    sums_lanes = False

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        rows, columns = problem.forward_axes
        groups, inputs, outputs = self._channels
        # rows of the delta that meet padding alone are not seen
        reach = (rows.taps - 1) * rows.dilation
        tops = [y * rows.stride + rows.offset for y in range(rows.count)]
        self.adds_biases = rows.dilation == 1 and all(-reach <= top < rows.input_size for top in tops)
        run = runs_of(columns, self._channels).length
        vectors, height = tile_of(-(-run // LANES), problem.machine)
        tiles, *heights = cut(outputs, height)
        sizes = Sizes(length(vectors), *heights)
        units = max(ENOUGH_UNITS // groups, 1)
        bundles = max(min(units * problem.order.size // SLOTTED, sum(tiles), units), 1)
        slots = max(min(units // bundles, problem.blocks * rows.input_size), 1)
        division = Division(bundles, 1, slots)
        pixel = groups * (columns.stride * inputs + outputs) * LANES * problem.dtype.itemsize  # bytes
        stretch = min(max(STRETCH // pixel, 2), columns.count)
        geometry = Geometry(rows, columns, self._channels, division, tiles, Lengths(stretch, filled_run(run, vectors)))
        room, filter_size = room_by_positions(geometry, vectors), filter_size_by_positions(geometry)
        numbers = np.arange(outputs * filter_size).reshape(-1, geometry.lengths.filled)  # (filter, r, run; position)
        self._reserve(division, room, filter_size, numbers[:, :run].reshape(outputs, -1))
        self._geometry, self._sizes = plain(*geometry), plain(*sizes)

    def add(
        self, image: NDArray[Any], delta: NDArray[Any], blocks: int, *, fresh: bool, with_biases: bool = False
    ) -> None:
        by_positions(
            image, delta, self._sums[with_biases], self._scratch, blocks, fresh, self._geometry, self._sizes
        )  # fmt: skip


class DenseWeights:
    """The gradient of a dense layer's weights, (unit, input in memory order).

    It is that of a convolution with one tap, on an image with one row and a column for each block.

    Attributes
    ----------
    division : Division
        How the work is cut: into a single slot, and else as the number of threads says.
    """

    def __init__(self, inputs: int, units: int, blocks: int, dtype: np.dtype, machine: Machine) -> None:
        vectors = usual_vectors(machine)  # always, so that one compiled form does for all dense layers
        tiles, *heights = cut(units, machine.tile_height)
        sizes = Sizes(length(vectors), *heights)
        tiles_of_inputs = tiles_of_run(inputs, vectors)
        # no unit sums a part of the batch: their number may follow the machine, and few leave each a long row
        some = 2 * numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        chunks = min(some, tiles_of_inputs)
        self.division = division = Division(max(min(some // chunks, sum(tiles)), 1), chunks, 1)
        # rows that hold a tile are written into the gradient itself
        filled = max(inputs, vectors * LANES)
        self._filled = None if filled == inputs else line_aligned(units * filled, dtype)
        geometry = Geometry(*_batch(blocks), Channels(1, inputs, units), division, tiles, Lengths(blocks, filled))
        self._scratch = line_aligned(units_of(division, 1) * room_by_positions(geometry, vectors), dtype)
        self._cuts, self._sizes = plain(*geometry)[2:], plain(*sizes)
        self._shape, self._nobody = (units, inputs), np.empty(0, dtype)

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
        biases = self._nobody if grad_bias is None else grad_bias
        geometry = _plain_batch(blocks) + self._cuts
        by_positions(image, delta, (partial, biases), self._scratch, 1, True, geometry, self._sizes)
        if self._filled is not None:
            units, inputs = self._shape
            gradient.reshape(self._shape)[...] = self._filled.reshape(units, -1)[:, :inputs]


def _batch(blocks: int) -> tuple[Axis, Axis]:
    """Return the axes of an image with one row, and a column for each block."""
    return Axis(1, 1, 0, 1, 1, 1, 0, 1, 1), Axis(blocks, blocks, 0, 1, blocks, 1, 0, 1, 1)


@cache
def _plain_batch(blocks: int) -> tuple[tuple[int, ...], ...]:
    return plain(*_batch(blocks))


def usual_vectors(machine: Machine) -> int:
    """Return the vectors of positions that a tile usually has."""
    return 2 if machine.accumulators >= 2 * machine.tile_height else 1


def tile_of(vectors: int, machine: Machine) -> tuple[int, int]:
    """Return vectors and filters of a tile for runs of `vectors` vectors, so that no tile is filled up if possible."""
    if usual_vectors(machine) == 1:
        return 1, machine.tile_height
    if vectors == 1:
        return 1, 2 * machine.tall_tile_height
    of_tile = next((number for number in (2, 3, 5, 7) if vectors % number == 0), 2)
    return of_tile, min(machine.accumulators // of_tile, machine.tile_height)
