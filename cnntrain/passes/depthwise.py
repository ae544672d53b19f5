"""The passes of a depthwise convolution; the classes take the same arguments as those of any other convolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.depthwise import depthwise, depthwise_weight_gradient
from cnntrain.kernels.geometry import Axis, length, plain
from cnntrain.kernels.layout import gather
from cnntrain.kernels.slots import sum_slots
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.tiling import cut
from cnntrain.passes.weight_gradient import UNITS
from cnntrain.shape import LANES


class DepthwiseCorrelation:
    """One direction (forward, or backward to the input): phases and packed weights."""

    def __init__(
        self,
        row_phases: list[tuple[Axis, list[int]]],
        column_phases: list[tuple[Axis, list[int]]],
        indices: NDArray[np.intp],
        blocks: int,
        dtype: np.dtype,
    ) -> None:
        self._channels = indices.shape[0]
        tiles, *sizes = cut(self._channels, this_machine().tile_height)
        self._sizes = sizes
        self._phases: list[tuple[int, tuple[tuple[int, ...], ...]]] = []
        order = [np.empty(0, np.intp)]
        for rows, row_taps in row_phases:
            for columns, column_taps in column_phases:
                self._phases.append((sum(part.size for part in order), plain(rows, columns, tiles)))
                taps = indices[:, 0, 0][:, row_taps, :][..., column_taps]
                order.append(taps.transpose(1, 2, 0).ravel())
        self._order = np.concatenate(order)
        self._packed = line_aligned(self._order.size, dtype)

    def __call__(self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, blocks: int) -> None:
        """Write `output` from `image`; `weight` is flat and canonical, `bias` has one number per channel."""
        gather(weight, self._order, self._packed)
        for at, geometry in self._phases:
            depthwise(image, self._packed, at, bias, output, blocks, self._channels, geometry, *self._sizes)


class DepthwiseWeightGradient:
    """The gradient of all weights; arguments as for `DirectWeightGradient`."""

    def __init__(self, rows: Axis, columns: Axis, indices: NDArray[np.intp], blocks: int, dtype: np.dtype) -> None:
        self._channels = indices.shape[0]
        taps = min(columns.taps, this_machine().accumulators // 2)
        tiles, *sizes = cut(self._channels, this_machine().accumulators // taps)
        self._geometry, self._sizes = plain(rows, columns, tiles), (*sizes, length(taps))
        self._slots = max(min(UNITS, blocks * rows.count), 1)
        # sums are in the order (r, s, channel)
        self._order = indices.reshape(self._channels, -1).T.ravel()
        self._sums = line_aligned(self._order.size, dtype)
        self._partial = line_aligned(self._slots * self._order.size * LANES, dtype)

    def add(self, image: NDArray, delta: NDArray, blocks: int, *, fresh: bool) -> None:
        """Add the products of the first `blocks` blocks to the sums; those begin with zero if they are `fresh`."""
        depthwise_weight_gradient(
            image, delta, self._partial, blocks, fresh, self._channels, self._slots, self._geometry, *self._sizes
        )

    def write(self, gradient: NDArray) -> None:
        """Write the gradient, flat, in canonical order."""
        sum_slots(self._partial, self._slots, self._sums)
        gradient[self._order] = self._sums
