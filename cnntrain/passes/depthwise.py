"""A depthwise convolution: one filter for each channel, in all passes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.depthwise import depthwise, depthwise_weight_gradient, partial_room
from cnntrain.kernels.geometry import length, plain
from cnntrain.kernels.layout import gather
from cnntrain.kernels.slots import sum_slots
from cnntrain.memory import line_aligned
from cnntrain.passes.algorithm import Correlation, WeightGradient
from cnntrain.passes.problem import Problem
from cnntrain.passes.tiling import cut
from cnntrain.passes.weight_sums import ENOUGH_UNITS


def _not_depthwise(problem: Problem) -> str | None:
    return None if problem.geometry.depthwise else "filters see more than a channel of their own"


class Depthwise(Correlation):
    """Each channel with its own filter, forward or backward to the input."""

    name = "depthwise"

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        return _not_depthwise(problem)

    def __init__(self, problem: Problem) -> None:
        self._channels = problem.groups
        tiles, *sizes = cut(self._channels, problem.machine.tile_height)
        self._sizes = tuple(sizes)
        self._phases: list[tuple[Any, ...]] = []
        order = [np.empty(0, np.intp)]
        for rows, row_taps in problem.rows:
            for columns, column_taps in problem.columns:
                at = sum(piece.size for piece in order)
                self._phases.append((*plain(rows, columns, tiles), self._channels, at))
                taps = problem.order[:, 0, 0][:, row_taps, :][..., column_taps]
                order.append(taps.transpose(1, 2, 0).ravel())
        self._order = np.concatenate(order)
        self._packed = line_aligned(self._order.size, problem.dtype)

    def __call__(self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, blocks: int) -> None:
        gather(weight, self._order, self._packed)
        for geometry in self._phases:
            depthwise(image, self._packed, bias, output, blocks, geometry, self._sizes)


class DepthwiseWeights(WeightGradient):
    """Lanes times lanes, a row of taps of a channel at a time."""

    name = "depthwise"

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        return _not_depthwise(problem)

    def __init__(self, problem: Problem) -> None:
        rows, columns = problem.forward_axes
        self._channels = problem.groups
        taps = min(columns.taps, problem.machine.accumulators // 2)
        tiles, *sizes = cut(self._channels, problem.machine.accumulators // taps)
        self._geometry, self._sizes = (*plain(rows, columns, tiles), self._channels), (*sizes, length(taps))
        self._slots = max(min(ENOUGH_UNITS, problem.blocks * rows.count), 1)
        # sums are in the order (r, s, channel)
        self._order = problem.order.reshape(self._channels, -1).T.ravel()
        self._sums = line_aligned(self._order.size, problem.dtype)
        self._partial = line_aligned(self._slots * partial_room(rows, columns, self._channels), problem.dtype)

    def add(self, image: NDArray, delta: NDArray, blocks: int, *, fresh: bool, with_biases: bool = False) -> None:
        batch = blocks, fresh, self._slots
        depthwise_weight_gradient(image, delta, self._partial, batch, self._geometry, self._sizes)

    def write(self, gradient: NDArray, grad_bias: NDArray | None = None) -> None:
        sum_slots(self._partial, self._slots, self._sums)
        gradient[self._order] = self._sums
