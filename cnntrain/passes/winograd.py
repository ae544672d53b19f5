"""What the algorithms after Winograd have in common: what they can compute, what they cost, and transformed filters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Axis, length
from cnntrain.kernels.layout import gather
from cnntrain.kernels.winograd import PLACES, ROOM, SIDE, transform_filters
from cnntrain.passes.problem import Problem
from cnntrain.passes.tiling import cut, packed_order
from cnntrain.passes.workspace import workspace
from cnntrain.shape import LANES

CACHE = 256 * 1024  # bytes of transformed patches at a time, a part of a common L2 cache
ENOUGH = 0.85  # share of the direct form's time below which another algorithm is worth its compilation and its scratch
WORTH_COMPILING = 200_000  # multiply-adds per image; of fewer, what a training saves is not worth the compilation
WORTH_TRANSFORMING = 4  # channels that are worth transforming all filters' outputs or deltas for


class Cost(NamedTuple):
    """Multiply-adds that take as long as transforms: of a patch of one channel, of the square of one filter."""

    patch: int
    square: int


COST = Cost(340, 200)


def square_of(axis: Axis) -> int:
    """Return how many outputs a patch has along an axis."""
    return SIDE + 1 - axis.taps


def patches_of(axis: Axis) -> int:
    """Return how many patches an image has along an axis."""
    return -(-axis.count // square_of(axis))


def not_computable(problem: Problem) -> str | None:
    """Say why a problem is no convolution with 3x3 or 5x5 taps, one pixel apart, one pixel after the other."""
    rows, columns = problem.forward_axes
    for value, name in (("stride", "stride"), ("dilation", "dilation")):
        steps = getattr(rows, value), getattr(columns, value)
        if steps != (1, 1):
            return f"{name} {max(steps)}"
    if (rows.taps, columns.taps) not in ((3, 3), (5, 5)):
        return f"{rows.taps}x{columns.taps} taps, not 3x3 or 5x5"
    return None if problem.groups == 1 else f"{problem.groups} groups"


def no_gain(problem: Problem, rows: Axis, columns: Axis, cost: Cost, multiple: int = 1) -> str | None:
    """Say why tap by tap takes less time, counted in multiply-adds; None if it takes clearly more.

    Outputs are filled up to a `multiple`. That agrees with measurements to about a tenth.
    """
    if problem.macs < WORTH_COMPILING:
        return f"{problem.macs:,} multiply-adds per image, too few to be worth compiling it"
    outputs, inputs = problem.outputs, problem.inputs
    filled = -(-outputs // multiple) * multiple
    patches = patches_of(rows) * patches_of(columns)
    time = patches * (PLACES * inputs * filled + cost.patch * inputs + cost.square * filled)
    return None if time < ENOUGH * problem.macs else f"direct takes {problem.macs / time:.2f} of the time"


class TransformedFilters:
    """The filters of one direction, their outputs cut into register tiles, and transformed anew for each batch."""

    def __init__(self, problem: Problem, taps: list[tuple[int, int]], square: int, height: int) -> None:
        self.outputs, self.inputs = problem.outputs, problem.inputs
        self.tiles, self.tall, self.short = cut(self.outputs, height)
        self.square = length(square)
        order = [
            packed_order(problem.order[0, :, :, r : r + 1, s : s + 1], self.tiles, len(self.tall)) for r, s in taps
        ]
        fill = -order[0].size % LANES  # with anything: what becomes of it is not used
        self._order = np.concatenate([np.pad(piece, (0, fill)) for piece in order])
        self._transformed = self._order.size // len(taps) * PLACES
        self._dtype = problem.dtype

    def __call__(self, weight: NDArray) -> NDArray:
        """Return the transforms of the filters in `weight`."""
        packed = workspace("packed", self._order.size, self._dtype)
        transformed = workspace("transformed", self._transformed, self._dtype)
        gather(weight, self._order, packed)
        transform_filters(packed, transformed, self.square)
        return transformed


class Stretch:
    """Scratch memory for the patches, at most `most`, that meet all filters before it is the next ones' turn."""

    def __init__(self, problem: Problem, filters: TransformedFilters, most: int) -> None:
        self.pair = length(problem.machine.side_by_side(2, problem.dtype))
        cached = CACHE // (PLACES * filters.inputs * LANES * problem.dtype.itemsize)
        self.patches = -(-max(min(cached, most), 1) // len(self.pair)) * len(self.pair)
        products = len(self.pair) * len(filters.tall)
        self._size = PLACES * (self.patches * filters.inputs + products + 2) * LANES + ROOM
        self._dtype = problem.dtype

    def scratch(self, workers: int) -> NDArray:
        """Return room for a stretch of patches and a register tile's products, for each worker.

        Where a stretch is filled up, products of whatever is there are computed and not used.
        """
        return workspace("scratch", workers * self._size, self._dtype)
