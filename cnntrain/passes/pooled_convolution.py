"""What of a convolution and the max-pooling behind it is done in one go (`kernels.pooled_convolution`)."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Axis, Tiles, plain
from cnntrain.kernels.pooled_convolution import correlate_and_pool, row_room
from cnntrain.memory import line_aligned
from cnntrain.passes.algorithm import Algorithm
from cnntrain.passes.convolution import Convolution
from cnntrain.passes.direct import Direct
from cnntrain.passes.pooling import MaxPooling
from cnntrain.passes.problem import Problem
from cnntrain.passes.tiling import used_heights
from cnntrain.passes.weights_by_lanes import WeightsByLanes


class PooledCorrelation:
    """A correlation, computed directly, and the max-pooling of its output, whose windows lie side by side."""

    def __init__(self, correlation: Direct, pooling: MaxPooling) -> None:
        self._of, self._windows = correlation, pooling.counts.rows
        [phase] = correlation.phases
        rows, columns, channels, tiles, _ = phase
        self._pair, tall, short, run = correlation.sizes
        self._geometry = rows, columns, channels, tiles, *plain(pooling.counts)
        self._sizes = self._pair, *used_heights(Tiles(*tiles), tall, short), run, *pooling.window
        self._room = row_room(Axis(*columns), pooling.window[0], self._pair, self._sizes[1])
        self._scratch = line_aligned(self._room, correlation.dtype)

    def __call__(
        self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, mask: NDArray[np.int16], blocks: int
    ) -> None:
        """Write the maxima to `output` and the winner of each window to `mask`; the rest as for `Direct`."""
        workers = min(numba.get_num_threads(), -(-blocks // len(self._pair)) * self._windows)
        if self._scratch.size < workers * self._room:
            self._scratch = line_aligned(workers * self._room, self._of.dtype)
        correlate_and_pool(
            image, self._of.pack(weight), bias, output, mask, self._scratch, (blocks, workers), self._geometry,
            self._sizes,
        )  # fmt: skip


def separated(algorithm: type[Algorithm], pooling: MaxPooling) -> str | None:
    """Say why no kernel does a pass of a convolution, by some algorithm, and the max-pooling; None if one does."""
    if not issubclass(algorithm, (Direct, WeightsByLanes)):
        return "there is no such kernel"
    return None if pooling.side_by_side else "the windows do not lie side by side"


class PooledPasses:
    """From image to pooled output, and from its gradient to that of the weights, without anything large in between."""

    def __init__(self, convolution: Convolution, pooling: MaxPooling) -> None:
        self._forward: PooledCorrelation | None = None
        self._weights: WeightsByLanes | None = None
        if isinstance(convolution.forward, Direct) and separated(Direct, pooling) is None:
            self._forward = PooledCorrelation(convolution.forward, pooling)
        if isinstance(convolution.weights, WeightsByLanes) and separated(WeightsByLanes, pooling) is None:
            problem = Problem(
                convolution.geometry, "to weights", convolution.blocks, convolution.dtype, convolution.machine
            )
            self._weights = WeightsByLanes(problem, pooling)

    @property
    def goes_forward(self) -> bool:
        """`forward` may be called: the windows lie side by side, and the convolution is computed directly."""
        return self._forward is not None

    @property
    def goes_backward(self) -> bool:
        """`backward_weight` may be called: the windows lie side by side, and the weights go by lanes."""
        return self._weights is not None

    def forward(
        self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, mask: NDArray[np.int16], blocks: int
    ) -> None:
        """Write the maxima of the convolution to `output`, and the winner of each window to `mask`."""
        if self._forward is None:
            raise ValueError("this convolution and its pooling do not go forward together")
        self._forward(image, weight, bias, output, mask, blocks)

    def backward_weight(
        self,
        image: NDArray,
        grad_output: NDArray,
        mask: NDArray[np.int16],
        grad_weight: NDArray,
        grad_bias: NDArray | None,
        blocks: int,
    ) -> None:
        """Write the gradients of the weights and of the biases, if there are any, from the gradient of the maxima.

        The latter is the sum of grad_output: routing gives each of its numbers to one pixel of the delta.
        """
        if self._weights is None:
            raise ValueError("this convolution and its pooling do not go backward together")
        with_biases = grad_bias is not None
        self._weights.add(image, grad_output, blocks, fresh=True, with_biases=with_biases, mask=mask)
        self._weights.write(grad_weight, grad_bias)
