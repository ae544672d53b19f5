"""Winograd's algorithm, many patches at a time: products of all places of some patches pass through memory."""

from __future__ import annotations

import numba
from numpy.typing import NDArray

from cnntrain.kernels.geometry import plain
from cnntrain.kernels.winograd import Patches, correlate_patches
from cnntrain.passes.algorithm import Correlation
from cnntrain.passes.problem import Problem
from cnntrain.passes.weight_sums import UNITS
from cnntrain.passes.winograd import (
    COST,
    WORTH_TRANSFORMING,
    Stretch,
    TransformedFilters,
    no_gain,
    not_computable,
    patches_of,
    square_of,
)


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
            return f"{problem.inputs} channels do not pay for transforms"
        return no_gain(problem, problem.rows[0].axis, problem.columns[0].axis, COST)

    def __init__(self, problem: Problem) -> None:
        [(rows, row_taps)], [(columns, column_taps)] = problem.rows, problem.columns
        taps = [(r, s) for r in row_taps for s in column_taps]
        self._filters = TransformedFilters(problem, taps, square_of(rows), problem.machine.tall_tile_height)
        total = problem.blocks * patches_of(rows) * patches_of(columns)
        self._stretch = Stretch(problem, self._filters, -(-total // UNITS))  # enough for several workers
        self.units = -(-total // self._stretch.patches)
        patches = Patches(patches_of(rows), patches_of(columns), self._stretch.patches)
        self._geometry = plain(rows, columns, patches, self._filters.tiles)

    def __call__(self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, blocks: int) -> None:
        filters, stretch, workers = self._filters, self._stretch, min(self.units, numba.get_num_threads())
        correlate_patches(
            image, filters(weight), bias, output, stretch.scratch(workers), workers, blocks, filters.inputs,
            filters.outputs, self._geometry, filters.square, stretch.pair, filters.tall, filters.short,
        )  # fmt: skip
