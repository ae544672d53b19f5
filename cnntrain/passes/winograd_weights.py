"""The gradient of the weights by Winograd's algorithm."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Channels, length, plain
from cnntrain.kernels.winograd import Geometry, Patches, Sizes, places_of
from cnntrain.kernels.winograd_gradients import gradient_of_places
from cnntrain.kernels.winograd_weights import (
    filled_filters,
    slot_size,
    weights_by_patches,
    weights_room,
    widest_bundle,
)
from cnntrain.passes.algorithm import WeightGradient
from cnntrain.passes.problem import Problem
from cnntrain.passes.tiling import cut
from cnntrain.passes.weight_sums import ENOUGH_UNITS
from cnntrain.passes.weights_by_positions import tile_of
from cnntrain.passes.winograd import (
    CACHE,
    LARGE,
    SMALL,
    WORTH_TRANSFORMING,
    large_is_worse,
    no_gain,
    not_computable,
    not_large,
    patches_of,
    side_of,
    time_of,
)
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
    patch = SMALL

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        if problem.outputs < LANES:
            return f"{problem.outputs} filters do not fill a vector of {LANES}"
        return not_computable(problem)

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        if problem.inputs < WORTH_TRANSFORMING:
            return f"too few channels to pay for transforms: {problem.inputs}"
        return no_gain(problem, time_of(problem, *problem.forward_axes, cls.patch, multiple=LANES))

    def __init__(self, problem: Problem, slots: int | None = None, bundles: int | None = None) -> None:
        rows, columns = problem.forward_axes
        channels = Channels(1, problem.inputs, problem.outputs)
        vectors, height = tile_of(-(-channels.outputs // LANES), problem.machine)
        tiles, *heights = cut(channels.inputs, height)
        sizes = Sizes(self.patch, length(side_of(rows, self.patch)), length(vectors), *heights)
        self.filled = filled_filters(channels.outputs, sizes.vectors)
        size, itemsize = slot_size(channels.inputs, self.filled, self.patch), problem.dtype.itemsize
        if slots is None:
            total = problem.blocks * patches_of(rows, self.patch) * patches_of(columns, self.patch)
            slots = max(min(ENOUGH_UNITS, PARTIAL // (size * itemsize), total // WORTH), 1)
        if bundles is None:
            bundles = max(min(ENOUGH_UNITS // slots, channels.inputs // APART), 1)
        patch = places_of(self.patch) * (self.filled + widest_bundle(tiles, bundles, sizes.tall)) * LANES * itemsize
        # at least four patches for each time that the sums are read and written
        stretch = max(2 * CACHE // patch, 4)
        patches = Patches(patches_of(rows, self.patch), patches_of(columns, self.patch), stretch)
        geometry = Geometry(rows, columns, channels, patches, tiles)
        self.geometry, self.sizes, self._dtype = geometry, sizes, problem.dtype
        self._arguments = plain(*geometry, (bundles, slots)), tuple(sizes)
        self._room = weights_room(0, geometry, bundles, sizes).size
        self.slots, self.bundles, self._size = slots, bundles, slots * size
        self._canonical = problem.order[0].transpose(2, 3, 1, 0).ravel().astype(np.int64)

    def add(
        self, image: NDArray[Any], delta: NDArray[Any], blocks: int, *, fresh: bool, with_biases: bool = False
    ) -> None:
        workers = min(self.slots * self.bundles, numba.get_num_threads())
        scratch = workspace("scratch", workers * self._room, self._dtype)
        begin = workspace.lend if fresh else workspace.lent
        sums = begin("partial", self._size, self._dtype, self)
        weights_by_patches(image, delta, sums, scratch, blocks, fresh, workers, *self._arguments)

    def write(self, gradient: NDArray[Any], grad_bias: NDArray[Any] | None = None) -> None:
        sums = workspace.lent("partial", self._size, self._dtype, self)
        _, inputs, outputs = self.geometry.channels
        gradient_of_places(
            sums, self.slots, self._canonical, gradient, inputs, outputs, self.filled, self.patch, self.sizes.side
        )  # fmt: skip


class WinogradLargeWeights(WinogradWeights):
    """The same with patches of 8x8 pixels, for 5x5 taps."""

    name = "winograd 8x8"
    patch = LARGE

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        return not_large(problem) or super().cannot(problem)

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        return large_is_worse(problem, *problem.forward_axes, LANES)
