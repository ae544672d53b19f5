"""Winograd's algorithm, many patches at a time: products of all places of some patches pass through memory."""

from __future__ import annotations

from typing import Any

import numba
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Channels
from cnntrain.kernels.winograd_patches import correlate_patches, patches_room
from cnntrain.passes.algorithm import Correlation
from cnntrain.passes.problem import Problem
from cnntrain.passes.weight_sums import ENOUGH_UNITS
from cnntrain.passes.winograd import (
    COST,
    WORTH_TRANSFORMING,
    Plan,
    TransformedFilters,
    no_gain,
    not_computable,
    patches_of,
    stretch_of,
)
from cnntrain.passes.workspace import workspace


class WinogradPatches(Correlation):
    """Forward or backward to the input, for machines with few registers."""

    name = "winograd patches"

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        return not_computable(problem)

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        if problem.machine.wide:
            return "rows suit this machine better"
        if problem.inputs < WORTH_TRANSFORMING:
            return f"too few channels to pay for transforms: {problem.inputs}"
        return no_gain(problem, problem.rows[0].axis, problem.columns[0].axis, COST)

    def __init__(self, problem: Problem) -> None:
        [(rows, row_taps)], [(columns, column_taps)] = problem.rows, problem.columns
        vectors = problem.machine.side_by_side(2, problem.dtype)
        total = problem.blocks * patches_of(rows) * patches_of(columns)
        stretch = stretch_of(problem, vectors, -(-total // ENOUGH_UNITS))  # enough for several workers
        channels = Channels(1, problem.inputs, problem.outputs)
        self.plan = Plan(problem, rows, columns, channels, stretch, vectors, problem.machine.tall_tile_height)
        self.filters = TransformedFilters(problem, [(r, s) for r in row_taps for s in column_taps], self.plan)
        self.units = -(-total // stretch)
        self._room, self._dtype = patches_room(0, self.plan.geometry, self.plan.sizes).size, problem.dtype

    def __call__(
        self, image: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any], output: NDArray[Any], blocks: int
    ) -> None:
        workers = min(self.units, numba.get_num_threads())
        scratch = workspace("scratch", workers * self._room, self._dtype)
        correlate_patches(
            image, self.filters(weight), bias, output, scratch, blocks, workers, *self.plan.arguments
        )  # fmt: skip
