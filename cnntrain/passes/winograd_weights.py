"""The gradient of the weights by Winograd's algorithm."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import length, plain
from cnntrain.kernels.weight_gradient import Division
from cnntrain.kernels.winograd import PLACES, ROOM, Patches
from cnntrain.kernels.winograd_weights import gradient_of_places, weights_by_patches
from cnntrain.passes.algorithm import WeightGradient
from cnntrain.passes.problem import Problem
from cnntrain.passes.tiling import cut
from cnntrain.passes.weight_sums import UNITS
from cnntrain.passes.weights_by_positions import tile_of
from cnntrain.passes.winograd import CACHE, COST, WORTH_TRANSFORMING, no_gain, not_computable, patches_of, square_of
from cnntrain.passes.workspace import workspace
from cnntrain.shape import LANES

WORTH = 16  # patches that are worth sums of their own
APART = 32  # channels for which it is worth transforming the delta again
PARTIAL = 8 * 1024 * 1024  # bytes of sums that are kept apart; more of them let more cores work


class WinogradWeights(WeightGradient):
    """Products of transformed patches and squares of the delta, summed over the batch.

    Parameters
    ----------
    problem : Problem
    slots, bundles : int or None
        How many sums are kept apart, and in how many bundles the channels are done; None chooses. The order of the
        sums, and with it the bits, follows from `slots`.
    """

    name = "winograd"

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        if problem.outputs < LANES:
            return f"{problem.outputs} filters do not fill a vector of {LANES}"
        return not_computable(problem)

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        if problem.inputs < WORTH_TRANSFORMING:
            return f"{problem.inputs} channels do not pay for transforms"
        return no_gain(problem, *problem.forward_axes, COST, LANES)

    def __init__(self, problem: Problem, slots: int | None = None, bundles: int | None = None) -> None:
        rows, columns = problem.forward_axes
        outputs, inputs = problem.outputs, problem.inputs
        self._inputs, self._outputs, self._dtype = inputs, outputs, problem.dtype
        vectors = -(-outputs // LANES)
        pair, height = tile_of(vectors, problem.machine)
        tiles, *sizes = cut(inputs, height)
        self._sizes = length(square_of(rows)), length(pair), *sizes
        self._filled = -(-vectors // pair) * pair * LANES
        size = PLACES * inputs * self._filled
        total = problem.blocks * patches_of(rows) * patches_of(columns)
        if slots is None:
            slots = max(min(UNITS, PARTIAL // (size * problem.dtype.itemsize), total // WORTH), 1)
        if bundles is None:
            bundles = max(min(UNITS // slots, inputs // APART), 1)
        channels = -(-sum(tiles) // bundles) * len(sizes[0])  # of a bundle, at most
        # at least four patches for each time that the sums are read and written
        stretch = max(2 * CACHE // (PLACES * (self._filled + channels) * LANES * problem.dtype.itemsize), 4)
        patches = Patches(patches_of(rows), patches_of(columns), stretch)
        self._geometry = plain(rows, columns, patches, Division(bundles, 1, slots, 0, 0), tiles)
        self._units = slots * bundles
        self._room = PLACES * (stretch * (self._filled + channels) + 2) * LANES + ROOM
        self._slots, self._size = slots, slots * size
        self._canonical = problem.order[0].transpose(2, 3, 1, 0).ravel().astype(np.int64)

    def add(self, image: NDArray, delta: NDArray, blocks: int, *, fresh: bool, with_biases: bool = False) -> None:
        workers = min(self._units, numba.get_num_threads())
        scratch = workspace("scratch", workers * self._room, self._dtype)
        begin = workspace.lend if fresh else workspace.lent
        weights_by_patches(
            image, delta, begin("partial", self._size, self._dtype, self), scratch, workers, blocks, fresh,
            self._inputs, self._outputs, self._geometry, *self._sizes,
        )  # fmt: skip

    def write(self, gradient: NDArray, grad_bias: NDArray | None = None) -> None:
        partial = workspace.lent("partial", self._size, self._dtype, self)
        gradient_of_places(
            partial, self._slots, self._canonical, gradient, self._inputs, self._outputs, self._filled, self._sizes[0]
        )
