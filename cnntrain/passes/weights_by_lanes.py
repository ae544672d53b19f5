"""Backward to the weights by lanes: lanes times lanes, for layers of few channels, pooled or not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Channels, Tiles, length, plain
from cnntrain.kernels.pooling import Pooled
from cnntrain.kernels.weight_gradient import Division, runs_of
from cnntrain.kernels.weight_gradient_lanes import (
    Geometry,
    Sizes,
    by_lanes,
    filter_size_by_lanes,
    room_by_lanes,
)
from cnntrain.kernels.weight_gradient_positions import filled_run
from cnntrain.machine import Machine
from cnntrain.passes.pooling import MaxPooling
from cnntrain.passes.problem import Problem
from cnntrain.passes.tiling import cut, used_heights
from cnntrain.passes.weight_sums import ENOUGH_UNITS, SlottedWeights
from cnntrain.shape import LANES

SLOTTED = 1 << 16  # weights times slots: more sums apart cost more than reading the delta again (measured on Zen 3)
LATENCY = 8  # accumulators without which a core waits for its multiply-adds (two a cycle, four cycles each)
MARGIN = 4  # pixels' time that a tile takes to load and store (measured on Zen 3)
ONE = length(1)
_NO_MASK = np.empty(0, np.int16)


class WeightsByLanes(SlottedWeights):
    """By lanes; with a `pooling`, from the gradient behind that max-pooling, whose windows lie side by side."""

    name = "by lanes"
    adds_biases = True
    sums_lanes = True

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        """Compare with the way by positions, which fills vectors up and is a sixteenth further from the peak."""
        _, columns = problem.forward_axes
        run = runs_of(columns, Channels(problem.groups, problem.inputs, problem.outputs)).length
        ours, theirs = run * (columns.count + MARGIN), (filled_run(run, 1) + 1) * columns.count
        return None if ours <= theirs else f"by positions takes {theirs / ours:.2f} of the time"

    def __init__(self, problem: Problem, pooling: MaxPooling | None = None) -> None:
        super().__init__(problem)
        rows, columns = problem.forward_axes
        groups, _, outputs = self._channels
        filters, tiles, tall, short = tiles_by_lanes(outputs, runs_of(columns, self._channels).length, problem.machine)
        lanes = length(problem.machine.register_lanes(problem.dtype))
        high, wide = (ONE, ONE) if pooling is None else pooling.window
        tall, short = used_heights(tiles, tall, short)
        sizes = Sizes(length(filters), tall, short, lanes, high, wide)
        pooled = Pooled(rows.count, columns.count) if pooling is None else pooling.counts
        weights, units = problem.order[0].size, max(ENOUGH_UNITS // groups, 1)
        bundles = max(min(units * weights // SLOTTED, outputs // filters, units), 1)
        slots = max(min(units // bundles, problem.blocks * pooled.rows), 1)
        division = Division(bundles, 1, slots)
        geometry = Geometry(rows, columns, self._channels, pooled, division, tiles)
        room, filter_size = room_by_lanes(geometry, filters, len(high), len(wide)), filter_size_by_lanes(geometry)
        vectors = np.arange(outputs * filter_size // LANES)  # (tile of filters, position, filter of the tile)
        places = vectors.reshape(outputs // filters, -1, filters).swapaxes(1, 2).reshape(outputs, -1)
        self._reserve(division, room, filter_size, places)
        self._geometry, self._sizes = plain(*geometry), plain(*sizes)

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
            image, delta, _NO_MASK if mask is None else mask, self._sums[with_biases], self._scratch, blocks, fresh,
            self._geometry, self._sizes,
        )  # fmt: skip


def tiles_by_lanes(outputs: int, run: int, machine: Machine) -> tuple[int, Tiles, tuple[int, ...], tuple[int, ...]]:
    """Choose how many filters a tile has (a divisor of their number), and how a run of positions is cut.

    The accumulators, a pixel's positions and one filter must fit the registers. A tile takes as long as its
    multiply-adds, or its loads, of which a core does as many, or as its few accumulators make it wait.
    """
    choices: list[tuple[int, int, tuple[int, Tiles, tuple[int, ...], tuple[int, ...]]]] = []
    for filters in (number for number in range(1, 9) if outputs % number == 0):
        tiles, *sizes = cut(run, (machine.registers - 1) // (filters + 1))
        kinds = [(count, len(positions)) for count, positions in zip(tiles, sizes, strict=True)]
        loads = sum(count * (filters + positions) for count, positions in kinds)
        time = sum(count * max(filters * positions, filters + positions, LATENCY) for count, positions in kinds)
        choices.append((outputs // filters * time, outputs // filters * loads, (filters, tiles, sizes[0], sizes[1])))
    return min(choices)[2]
