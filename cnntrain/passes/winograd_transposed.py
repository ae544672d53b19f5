"""Backward to the input by Winograd's transposed map, which has fewer patches where images are not padded."""

from __future__ import annotations

from typing import Any

import numba
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Channels
from cnntrain.kernels.winograd_input import add_patches, input_room
from cnntrain.passes.algorithm import Correlation
from cnntrain.passes.problem import Problem
from cnntrain.passes.winograd import (
    LARGE,
    SMALL,
    Plan,
    TransformedFilters,
    height_of,
    large_is_worse,
    no_gain,
    not_computable,
    not_large,
    patches_of,
    side_of,
    stretch_of,
    time_of,
)
from cnntrain.passes.workspace import workspace


class WinogradTransposed(Correlation):
    """Squares of the delta are transformed, and what becomes of them is added to overlapping patches."""

    name = "winograd transposed"
    patch = SMALL

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        return not_computable(problem)

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        rows, columns = problem.forward_axes
        return cls.more_patches(problem) or no_gain(problem, time_of(problem, rows, columns, cls.patch))

    @classmethod
    def more_patches(cls, problem: Problem) -> str | None:
        """Say why the full convolution has fewer patches."""
        rows, columns = problem.forward_axes
        of_output = patches_of(rows, cls.patch) * patches_of(columns, cls.patch)
        sides = side_of(rows, cls.patch), side_of(columns, cls.patch)
        of_image = -(-rows.input_size // sides[0]) * -(-columns.input_size // sides[1])
        return None if of_output < of_image else f"the delta has {of_output} patches, the image {of_image}"

    def __init__(self, problem: Problem) -> None:
        rows, columns = problem.forward_axes
        vectors = problem.machine.side_by_side(2, problem.dtype)
        # no stretch is longer than an image: blocks are done one by one
        image = patches_of(rows, self.patch) * patches_of(columns, self.patch)
        stretch = stretch_of(problem, self.patch, vectors, image)
        channels = Channels(1, problem.outputs, problem.inputs)  # of the forward pass
        height = height_of(problem.machine, self.patch)
        self.plan = Plan(problem, rows, columns, channels, self.patch, stretch, vectors, height)
        taps = [(r, s) for r in range(rows.taps) for s in range(columns.taps)]
        self.filters = TransformedFilters(problem, taps, self.plan)
        self._room, self._dtype = input_room(0, self.plan.geometry, self.plan.sizes).size, problem.dtype

    def __call__(
        self, image: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any], output: NDArray[Any], blocks: int
    ) -> None:
        bundles = min(-(-numba.get_num_threads() // blocks), sum(self.plan.geometry.tiles))
        workers = min(numba.get_num_threads(), blocks * bundles)
        scratch = workspace("scratch", workers * self._room, self._dtype)
        add_patches(
            image, self.filters(weight), output, scratch, blocks, bundles, workers, *self.plan.arguments
        )  # fmt: skip


class WinogradLargeTransposed(WinogradTransposed):
    """The same with patches of 8x8 pixels, for 5x5 taps."""

    name = "winograd transposed 8x8"
    patch = LARGE

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        return not_large(problem)

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        return cls.more_patches(problem) or large_is_worse(problem, *problem.forward_axes)
