"""The passes of the pooling layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.average_pooling import average_pool, average_pool_backward
from cnntrain.kernels.geometry import Axis, length, plain
from cnntrain.kernels.pooling import Pooled, disjoint_max_pool_backward, max_pool, max_pool_backward

UNROLLED = 16  # taps: for windows of up to so many, code of their own


class MaxPooling:
    """Max-pooling and its mask (int16: the number of the winning tap of each window and lane).

    Attributes
    ----------
    side_by_side : bool
        The windows tile the image, but perhaps for some pixels behind the last, and are small.
    window : tuple of tuple
        Its size, as two dummy tuples; empty ones if it is not small.
    counts : Pooled
        How many windows there are.
    """

    def __init__(self, channels: int, rows: Axis, columns: Axis) -> None:
        self._geometry = channels, plain(rows, columns)
        small = rows.taps * columns.taps <= UNROLLED
        self.window = (length(rows.taps), length(columns.taps)) if small else ((), ())
        self.counts = Pooled(rows.count, columns.count)
        self.side_by_side = small and all(
            axis.offset == 0 and axis.stride == axis.taps and axis.count * axis.taps <= axis.input_size
            for axis in (rows, columns)
        )

    def forward(self, image: NDArray, output: NDArray, mask: NDArray[np.int16], blocks: int) -> None:
        """Write the maxima and the mask."""
        max_pool(image, output, mask, blocks, *self._geometry, self.window)

    def backward(self, grad_output: NDArray, mask: NDArray[np.int16], grad_input: NDArray, blocks: int) -> None:
        """Route the gradient to the winners."""
        if self.side_by_side:
            disjoint_max_pool_backward(grad_output, mask, grad_input, blocks, *self._geometry, self.window)
        else:
            max_pool_backward(grad_output, mask, grad_input, blocks, *self._geometry)


class AveragePooling:
    """Average-pooling; `count_padding` lets zeros around the image count in a window's mean."""

    def __init__(self, channels: int, rows: Axis, columns: Axis, count_padding: bool) -> None:
        self._geometry = channels, plain(rows, columns), count_padding

    def forward(self, image: NDArray, output: NDArray, blocks: int) -> None:
        """Write the means."""
        average_pool(image, output, blocks, *self._geometry)

    def backward(self, grad_output: NDArray, grad_input: NDArray, blocks: int) -> None:
        """Share each gradient among the pixels of its window."""
        average_pool_backward(grad_output, grad_input, blocks, *self._geometry)
