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
    LARGE,
    SMALL,
    WORTH_TRANSFORMING,
    Plan,
    TransformedFilters,
    height_of,
    large_is_worse,
    no_gain,
    not_computable,
    not_large,
    patches_of,
    stretch_of,
    time_of,
)
from cnntrain.passes.workspace import workspace


class WinogradPatches(Correlation):
    """Forward or backward to the input, for machines with few registers."""

    name = "winograd patches"
    patch = SMALL

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        return not_computable(problem)

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        if problem.machine.wide:
            return "rows suit this machine better"
        if problem.inputs < WORTH_TRANSFORMING:
            return f"too few channels to pay for transforms: {problem.inputs}"
        return no_gain(problem, time_of(problem, problem.rows[0].axis, problem.columns[0].axis, cls.patch))

    def __init__(self, problem: Problem) -> None:
        [(rows, row_taps)], [(columns, column_taps)] = problem.rows, problem.columns
        vectors = problem.machine.side_by_side(2, problem.dtype)
        total = problem.blocks * patches_of(rows, self.patch) * patches_of(columns, self.patch)
        stretch = stretch_of(problem, self.patch, vectors, -(-total // ENOUGH_UNITS))  # enough for several workers
        channels = Channels(1, problem.inputs, problem.outputs)
        height = height_of(problem.machine, self.patch)
        self.plan = Plan(problem, rows, columns, channels, self.patch, stretch, vectors, height)
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


class WinogradLarge(WinogradPatches):
    """Patches of 8x8 pixels for 5x5 taps: 4 multiplications for each output instead of 9, or of 25 tap by tap."""

    name = "winograd 8x8"
    patch = LARGE

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        return not_large(problem)

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        return large_is_worse(problem, problem.rows[0].axis, problem.columns[0].axis)
