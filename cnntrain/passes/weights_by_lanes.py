"""Backward to the weights by scheme A: lanes times lanes, for layers of few channels, pooled or not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Axis, Tiles, length, plain
from cnntrain.kernels.pooling import Pooled
from cnntrain.kernels.weight_gradient import Division
from cnntrain.kernels.weight_gradient_lanes import by_lanes
from cnntrain.machine import Machine
from cnntrain.passes.pooling import MaxPooling
from cnntrain.passes.problem import Problem
from cnntrain.passes.tiling import cut, used_heights
from cnntrain.passes.weight_sums import UNITS, SlottedWeights, runs_of
from cnntrain.passes.weights_by_positions import filled_run
from cnntrain.shape import LANES

LARGE = 1 << 16  # weights: beyond this many, slots of their own cost more than going through the delta again
LATENCY = 8  # accumulators without which a core waits for its multiply-adds
MARGIN = 4  # pixels' time that a tile takes to load and store
ONE = length(1)
_NO_MASK = np.empty(0, np.int16)


class WeightsByLanes(SlottedWeights):
    """Scheme A; with a `pooling`, from the gradient behind that max-pooling, whose windows lie side by side."""

    name = "by lanes"
    adds_biases = True
    sums_lanes = True

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        """Compare with scheme B, which fills vectors up and is a sixteenth further from the peak."""
        _, run = runs_of(problem)
        count = problem.forward_axes[1].count
        ours, theirs = run * (count + MARGIN), (filled_run(run, 1) + 1) * count
        return None if ours <= theirs else f"by positions takes {theirs / ours:.2f} of the time"

    def __init__(self, problem: Problem, pooling: MaxPooling | None = None) -> None:
        super().__init__(problem)
        rows, columns = problem.forward_axes
        groups, inputs, outputs = self._channels
        filters, tiles, *sizes = tiles_by_lanes(outputs, self._run, problem.machine)
        high, wide = (ONE, ONE) if pooling is None else pooling.window
        heights = used_heights(tiles, *sizes)
        lanes = length(problem.machine.register_lanes(problem.dtype))
        self._sizes = length(filters), *heights, lanes, high, wide
        cuts, units = outputs // filters, max(UNITS // groups, 1)
        positions = self._runs * self._run
        size = outputs * positions
        bundles = max(min(units * size // LARGE, cuts, units), 1)
        pooled = Pooled(rows.count, columns.count) if pooling is None else pooling.counts
        slots = max(min(units // bundles, problem.blocks * pooled.rows), 1)
        division = Division(bundles, 1, slots, columns.count, 0)
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


def _reach(columns: Axis) -> int:
    """Return how many pixels of a row, margins included, the taps reach."""
    return (columns.count - 1) * columns.stride + (columns.taps - 1) * columns.dilation + 1
