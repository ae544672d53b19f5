"""The passes of batch normalisation, and how a batch is cut for layers with one parameter per channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.batch_norm import (
    Sheet,
    batch_moments,
    counts_room,
    merge_moments,
    normalize,
    normalize_backward,
    normalize_sums,
    room,
)
from cnntrain.kernels.slots import sum_slots
from cnntrain.memory import line_aligned
from cnntrain.passes.weight_sums import ENOUGH_UNITS
from cnntrain.shape import LANES

PIECE_BYTES = 128 * 1024  # of a block's pixels: half of a common L2 cache


def sheet_of(channels: int, pixels: int, blocks: int, dtype: np.dtype) -> Sheet:
    """Cut batches of up to `blocks` blocks: pieces that fit the cache, and enough of them to share among cores."""
    fitting = max(PIECE_BYTES // (channels * LANES * dtype.itemsize), 1)
    pieces = min(max(-(-pixels // fitting), -(-ENOUGH_UNITS // blocks)), pixels)
    return Sheet(pixels, channels, pieces, min(ENOUGH_UNITS, blocks * pieces))


class BatchNormalization:
    """Normalisation of each channel, for batches of up to `blocks` blocks.

    Attributes
    ----------
    mean, variance : ndarray, one number per channel
        Of the last `measure`; the variance is the biased one (the sum of squares divided by the number of values).
    """

    def __init__(self, channels: int, pixels: int, blocks: int, dtype: np.dtype) -> None:
        self._sheet = sheet = sheet_of(channels, pixels, blocks, dtype)
        self._geometry = tuple(sheet)
        self.mean, self.variance = np.zeros(channels, dtype), np.zeros(channels, dtype)
        self._moments = line_aligned(room(sheet), dtype)
        self._scratch = line_aligned(room(sheet), dtype)
        self._counts = line_aligned(counts_room(sheet), np.int64)
        self._sums = np.empty(2 * channels, dtype)

    def measure(self, x: NDArray, images: int) -> None:
        """Set `mean` and `variance` to those of the batch."""
        batch_moments(x, self._moments, self._counts, self._scratch, images, self._geometry)
        merge_moments(self._moments, self._counts, self.mean, self.variance, self._geometry)

    def forward(self, x: NDArray, y: NDArray, mean: NDArray, factor: NDArray, shift: NDArray, blocks: int) -> None:
        """Compute y = (x - mean) * factor + shift."""
        normalize(x, y, mean, factor, shift, blocks, self._geometry)

    def sums(self, grad_output: NDArray, x: NDArray, mean: NDArray, images: int) -> tuple[NDArray, NDArray]:
        """Return the sums of grad_output and of grad_output * (x - mean), one number per channel."""
        normalize_sums(grad_output, x, mean, self._moments, images, self._geometry)
        sum_slots(self._moments, self._sheet.slots, self._sums)
        return self._sums[: self._sheet.channels], self._sums[self._sheet.channels :]

    def backward_input(
        self,
        grad_output: NDArray,
        x: NDArray,
        grad_input: NDArray,
        mean: NDArray,
        factor: NDArray,
        offset: NDArray,
        slope: NDArray,
        images: int,
    ) -> None:
        """dL/dx = factor (g - offset - slope (x - mean))."""
        normalize_backward(grad_output, x, grad_input, mean, factor, offset, slope, images, self._geometry)
