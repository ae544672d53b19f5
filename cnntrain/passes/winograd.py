"""What the algorithms after Winograd have in common: what they can compute, what they cost, and transformed filters."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Axis, Channels, length, plain
from cnntrain.kernels.layout import gather
from cnntrain.kernels.winograd import Geometry, Patches, Sizes, places_of
from cnntrain.kernels.winograd_filters import filters_place, midway_at, transform_filters
from cnntrain.machine import Machine
from cnntrain.passes.problem import Problem
from cnntrain.passes.tiling import cut, packed_order
from cnntrain.passes.workspace import workspace
from cnntrain.shape import LANES

CACHE = 256 * 1024  # bytes of transformed patches at a time, a part of a common L2 cache
ENOUGH = 0.85  # share of the direct form's time below which another algorithm is worth its compilation and its scratch
WORTH_COMPILING = 200_000  # multiply-adds per image; of fewer, what a training saves is not worth the compilation
WORTH_TRANSFORMING = 4  # channels that are worth transforming all filters' outputs or deltas for
WORTH_LARGE = 20  # channels from which on 8x8 patches round no more than four times as much as sums tap by tap


class Cost(NamedTuple):
    """Multiply-adds that take as long as transforms: of a patch of one channel, of the square of one filter."""

    patch: int
    square: int


SMALL, LARGE = length(6), length(8)  # the sides of patches, as dummy tuples
COSTS = {SMALL: Cost(340, 200), LARGE: Cost(550, 330)}
PRECISION = {LARGE: np.dtype(np.float64)}  # in which filters are transformed, if not in their own


def side_of(axis: Axis, patch: tuple[int, ...]) -> int:
    """Return how many outputs a patch has along an axis."""
    return len(patch) + 1 - axis.taps


def patches_of(axis: Axis, patch: tuple[int, ...]) -> int:
    """Return how many patches an image has along an axis."""
    return -(-axis.count // side_of(axis, patch))


def not_computable(problem: Problem) -> str | None:
    """Say why a problem is no convolution with 3x3 or 5x5 taps, one pixel apart, one pixel after the other."""
    if problem.direct:
        return "the config asks for direct convolution"
    rows, columns = problem.forward_axes
    for value, name in (("stride", "stride"), ("dilation", "dilation")):
        steps = getattr(rows, value), getattr(columns, value)
        if steps != (1, 1):
            return f"{name} {max(steps)}"
    if (rows.taps, columns.taps) not in ((3, 3), (5, 5)):
        return f"{rows.taps}x{columns.taps} taps, not 3x3 or 5x5"
    return None if problem.groups == 1 else f"{problem.groups} groups"


def not_large(problem: Problem) -> str | None:
    """Say why a problem is no convolution with 5x5 taps, which patches of 8x8 pixels are for."""
    if reason := not_computable(problem):
        return reason
    taps = problem.forward_axes[0].taps
    return None if taps == 5 else f"{taps}x{taps} taps, not 5x5"


def time_of(
    problem: Problem, rows: Axis, columns: Axis, patch: tuple[int, ...], cost: Cost | None = None, multiple: int = 1
) -> int:
    """Return what an image costs, counted in multiply-adds; outputs are filled up to a `multiple`."""
    cost = COSTS[patch] if cost is None else cost
    filled = -(-problem.outputs // multiple) * multiple
    patches = patches_of(rows, patch) * patches_of(columns, patch)
    products = places_of(patch) * problem.inputs * filled
    return patches * (products + cost.patch * problem.inputs + cost.square * filled)


def no_gain(problem: Problem, time: int) -> str | None:
    """Say why tap by tap takes less than a `time` counted in multiply-adds; None if it takes clearly more.

    That agrees with measurements to about a tenth.
    """
    if problem.macs < WORTH_COMPILING:
        return f"{problem.macs:,} multiply-adds per image, too few to be worth compiling it"
    if time < ENOUGH * problem.macs:
        return None
    least = f", and {1 / ENOUGH:.2f} would be worth it" if time < problem.macs else ""
    return f"direct takes {problem.macs / time:.2f} of the time{least}"


def large_is_worse(problem: Problem, rows: Axis, columns: Axis, multiple: int = 1) -> str | None:
    """Say why patches of 8x8 pixels are not worth it, beside those of 6x6."""
    if problem.inputs < WORTH_LARGE:
        return f"too few channels for its rounding errors: {problem.inputs}"
    time, small = (time_of(problem, rows, columns, patch, multiple=multiple) for patch in (LARGE, SMALL))
    return f"patches of 6x6 take {small / time:.2f} of the time" if small < time else no_gain(problem, time)


def stretch_of(problem: Problem, patch: tuple[int, ...], vectors: int, most: int) -> int:
    """Return how many patches meet all filters before it is the next ones' turn.

    As many as fit the cache, at most `most`, filled up to register tiles of `vectors` patches.
    """
    cached = CACHE // (places_of(patch) * problem.inputs * LANES * problem.dtype.itemsize)
    return -(-max(min(cached, most), 1) // vectors) * vectors


def height_of(machine: Machine, patch: tuple[int, ...]) -> int:
    """Return how many filters a register tile has at most; patches of 8x8 need a second tile, of whole sums."""
    return machine.tile_height if patch == LARGE else machine.tall_tile_height


class Plan:
    """How a correlation is cut, as kernels are told.

    Parameters
    ----------
    problem : Problem
    rows, columns : Axis
    channels : Channels
        Of the images with these axes.
    patch : tuple
        The side of a patch, as a dummy tuple.
    stretch : int
        Patches at a time.
    vectors, height : int
        Patches in a register tile, and its outputs at most.

    Attributes
    ----------
    geometry : Geometry
    sizes : Sizes
    arguments : tuple
        Both, as kernels are called with them.
    """

    def __init__(
        self,
        problem: Problem,
        rows: Axis,
        columns: Axis,
        channels: Channels,
        patch: tuple[int, ...],
        stretch: int,
        vectors: int,
        height: int,
    ) -> None:
        tiles, tall, short = cut(problem.outputs, height)
        patches = Patches(patches_of(rows, patch), patches_of(columns, patch), stretch)
        self.geometry = Geometry(rows, columns, channels, patches, tiles)
        self.sizes = Sizes(patch, length(side_of(rows, patch)), length(vectors), tall, short)
        self.arguments = plain(*self.geometry), tuple(self.sizes)


class TransformedFilters:
    """The filters of one direction, transformed anew for each batch.

    Parameters
    ----------
    problem : Problem
    taps : list of (int, int)
        Taps of the filter in the order of the pixels that they read.
    plan : Plan
        How its outputs are cut into register tiles.

    Attributes
    ----------
    order : ndarray of int
        Index of each weight in the order (r, s, i) of `kernels.winograd_filters`.
    """

    def __init__(self, problem: Problem, taps: list[tuple[int, int]], plan: Plan) -> None:
        tiles, height = plan.geometry.tiles, len(plan.sizes.tall)
        order = [packed_order(problem.order[0, :, :, r : r + 1, s : s + 1], tiles, height) for r, s in taps]
        place = filters_place(problem.inputs, problem.outputs)
        # filled up with anything: what becomes of it is not used
        self.order = np.concatenate([np.pad(piece, (0, place - piece.size)) for piece in order])
        self._patch, self._side, self._dtype = plan.sizes.patch, plan.sizes.side, problem.dtype
        self._size = places_of(self._patch) * place

    def __call__(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Return the transforms of the filters in `weight`."""
        packed = workspace("packed", self.order.size, self._dtype)
        transformed = workspace("transformed", self._size, self._dtype)
        gather(weight, self.order, packed)
        workers = numba.get_num_threads()
        midway = workspace(
            "midway", midway_at(workers, self._patch, self._side), PRECISION.get(self._patch, self._dtype)
        )
        transform_filters(packed, transformed, midway, workers, self._patch, self._side)
        return transformed
