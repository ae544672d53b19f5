"""Winograd's algorithm, a row of one patch at a time, for machines with many wide registers."""

from __future__ import annotations

import numba
from numpy.typing import NDArray

from cnntrain.kernels.geometry import plain
from cnntrain.kernels.winograd import COLUMNS, SIDE, Patches
from cnntrain.kernels.winograd_rows import correlate_rows
from cnntrain.passes.algorithm import Correlation
from cnntrain.passes.problem import Problem
from cnntrain.passes.winograd import Cost, TransformedFilters, no_gain, not_computable, patches_of, square_of
from cnntrain.passes.workspace import workspace
from cnntrain.shape import LANES

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
        return no_gain(problem, rows, columns, COSTS[square_of(rows)])

    def __init__(self, problem: Problem) -> None:
        [(rows, row_taps)], [(columns, column_taps)] = problem.rows, problem.columns
        taps = [(r, s) for r in row_taps for s in column_taps]
        self._filters = filters = TransformedFilters(
            problem, taps, square_of(rows), problem.machine.accumulators // SIDE
        )  # fmt: skip
        patches = Patches(patches_of(rows), patches_of(columns), 0)
        self._total = problem.blocks * patches.rows * patches.columns
        self._geometry = plain(rows, columns, patches, filters.tiles)
        products = len(filters.square) * (filters.outputs + 1)
        self._room = SIDE * ((1 + COLUMNS) * (filters.inputs + 1) + products) * LANES
        self._dtype = problem.dtype

    def __call__(self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, blocks: int) -> None:
        filters, workers = self._filters, min(self._total, numba.get_num_threads())
        correlate_rows(
            image, filters(weight), bias, output, workspace("scratch", workers * self._room, self._dtype), workers,
            blocks, filters.inputs, filters.outputs, self._geometry, filters.square, filters.tall, filters.short,
        )  # fmt: skip
