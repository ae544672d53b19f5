"""Backward to the input by Winograd's transposed map, which has fewer patches where images are not padded."""

from __future__ import annotations

import numba
from numpy.typing import NDArray

from cnntrain.kernels.geometry import plain
from cnntrain.kernels.winograd import Patches
from cnntrain.kernels.winograd_input import add_patches
from cnntrain.passes.algorithm import Correlation
from cnntrain.passes.problem import Problem
from cnntrain.passes.winograd import COST, Stretch, TransformedFilters, no_gain, not_computable, patches_of, square_of


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
        of_image = -(-rows.input_size // square_of(rows)) * -(-columns.input_size // square_of(columns))
        if of_output >= of_image:
            return f"the delta has {of_output} patches, the image {of_image}"
        return no_gain(problem, rows, columns, COST)

    def __init__(self, problem: Problem) -> None:
        rows, columns = problem.forward_axes
        taps = [(r, s) for r in range(rows.taps) for s in range(columns.taps)]
        self._filters = TransformedFilters(problem, taps, square_of(rows), problem.machine.tall_tile_height)
        image = patches_of(rows) * patches_of(columns)  # no stretch is longer: blocks are done one by one
        self._stretch = Stretch(problem, self._filters, image)
        patches = Patches(patches_of(rows), patches_of(columns), self._stretch.patches)
        self._geometry = plain(rows, columns, patches, self._filters.tiles)

    def __call__(self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, blocks: int) -> None:
        filters, stretch = self._filters, self._stretch
        bundles = min(-(-numba.get_num_threads() // blocks), sum(filters.tiles))
        workers = min(numba.get_num_threads(), blocks * bundles)
        add_patches(
            image, filters(weight), output, stretch.scratch(workers), workers, blocks, bundles, filters.outputs,
            filters.inputs, self._geometry, filters.square, stretch.pair, filters.tall, filters.short,
        )  # fmt: skip
