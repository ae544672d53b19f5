"""Tap by tap: the formula of the layer, for every convolution, forward and backward to the input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.convolution import correlate
from cnntrain.kernels.geometry import Channels, length, plain
from cnntrain.kernels.layout import gather
from cnntrain.memory import line_aligned
from cnntrain.passes.algorithm import Correlation
from cnntrain.passes.problem import Problem
from cnntrain.passes.tiling import cut, packed_order

SHORT = 16  # lane vectors of a run (s, c): for shorter ones, loops of known length


class Direct(Correlation):
    """Tap by tap.

    Attributes
    ----------
    phases : list of tuple
        The `geometry` of each correlation without gaps, as the kernel takes it.
    sizes : tuple of tuple
        Those of register tiles and short runs, as the kernel takes them.
    dtype : float32 or float64
    """

    name = "direct"

    def __init__(self, problem: Problem) -> None:
        self.dtype = problem.dtype
        channels = Channels(problem.groups, problem.inputs, problem.outputs)
        tiles, tall, short = cut(problem.outputs, problem.machine.tile_height)
        pair = length(problem.machine.side_by_side(problem.blocks, problem.dtype))
        [(first, taps), *others] = problem.columns
        run = len(taps) * problem.inputs if first.dilation == 1 and problem.groups == 1 and not others else 0
        self.sizes = pair, tall, short, length(run) if run < SHORT else ()
        self.phases: list[tuple[Any, ...]] = []
        order = [np.empty(0, np.intp)]
        for rows, row_taps in problem.rows:
            for columns, column_taps in problem.columns:
                at = sum(piece.size for piece in order)
                self.phases.append((*plain(rows, columns, channels, tiles), at))
                order += [
                    packed_order(group[..., row_taps, :][..., column_taps], tiles, len(tall)) for group in problem.order
                ]
        self._order = np.concatenate(order)
        self._packed = line_aligned(self._order.size, problem.dtype)

    def pack(self, weight: NDArray) -> NDArray:
        """Return the weights, flat and canonical, in the order in which the kernel reads them."""
        gather(weight, self._order, self._packed)
        return self._packed

    def __call__(self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, blocks: int) -> None:
        packed = self.pack(weight)
        for geometry in self.phases:
            correlate(image, packed, bias, output, blocks, geometry, self.sizes)
