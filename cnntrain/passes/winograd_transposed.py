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
    COST,
    Plan,
    TransformedFilters,
    no_gain,
    not_computable,
    patches_of,
    side_of,
    stretch_of,
)
from cnntrain.passes.workspace import workspace


class WinogradTransposed(Correlation):
    """Squares of the delta are transformed, and what becomes of them is added to overlapping patches."""

    name = "winograd transposed"

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        return not_computable(problem)

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        rows, columns = problem.forward_axes
        of_output = patches_of(rows) * patches_of(columns)
        of_image = -(-rows.input_size // side_of(rows)) * -(-columns.input_size // side_of(columns))
        if of_output >= of_image:
            return f"the delta has {of_output} patches, the image {of_image}"
        return no_gain(problem, rows, columns, COST)

    def __init__(self, problem: Problem) -> None:
        rows, columns = problem.forward_axes
        vectors = problem.machine.side_by_side(2, problem.dtype)
        image = patches_of(rows) * patches_of(columns)  # no stretch is longer: blocks are done one by one
        stretch = stretch_of(problem, vectors, image)
        channels = Channels(1, problem.outputs, problem.inputs)  # of the forward pass
        self.plan = Plan(problem, rows, columns, channels, stretch, vectors, problem.machine.tall_tile_height)
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
