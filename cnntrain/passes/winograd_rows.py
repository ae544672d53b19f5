"""Winograd's algorithm, a row of one patch at a time, for machines with many wide registers."""

from __future__ import annotations

from typing import Any

import numba
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Channels
from cnntrain.kernels.winograd_rows import correlate_rows, rows_room
from cnntrain.passes.algorithm import Correlation
from cnntrain.passes.problem import Problem
from cnntrain.passes.winograd import SMALL, Cost, Plan, TransformedFilters, no_gain, not_computable, side_of, time_of
from cnntrain.passes.workspace import workspace

COSTS = {4: Cost(300, 220), 2: Cost(240, 60)}  # by the square's side


class WinogradRows(Correlation):
    """Forward or backward to the input: `kernels.winograd_rows` says why it wants many registers."""

    name = "winograd rows"

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        return not_computable(problem)

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        if not problem.machine.wide:
            return f"{problem.machine.registers} registers of {problem.machine.register_bytes} bytes are too few"
        rows, columns = problem.rows[0].axis, problem.columns[0].axis
        return no_gain(problem, time_of(problem, rows, columns, SMALL, COSTS[side_of(rows, SMALL)]))

    def __init__(self, problem: Problem) -> None:
        [(rows, row_taps)], [(columns, column_taps)] = problem.rows, problem.columns
        channels = Channels(1, problem.inputs, problem.outputs)
        height = problem.machine.accumulators // len(SMALL)  # a row of places is summed at a time
        self.plan = Plan(problem, rows, columns, channels, SMALL, 1, 1, height)
        self.filters = TransformedFilters(problem, [(r, s) for r in row_taps for s in column_taps], self.plan)
        self.units = problem.blocks * self.plan.geometry.patches.rows * self.plan.geometry.patches.columns
        self._room, self._dtype = rows_room(0, self.plan.geometry, self.plan.sizes).size, problem.dtype

    def __call__(
        self, image: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any], output: NDArray[Any], blocks: int
    ) -> None:
        workers = min(self.units, numba.get_num_threads())
        scratch = workspace("scratch", workers * self._room, self._dtype)
        correlate_rows(
            image, self.filters(weight), bias, output, scratch, blocks, workers, *self.plan.arguments
        )  # fmt: skip
