"""Between arrays as users know them (image, channel, row, column) and the batch-lane layout, and packing of weights.

Indices are unsigned: of a signed one Numba asks whether it counts from the end, which takes longer than the copy.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.jit import parallel_kernel
from cnntrain.kernels.simd import LANES


@parallel_kernel
def to_lanes(images, indices, scale, shift, lanes, channels, rows, columns):
    """Write lanes[b, row, column, c, lane] = images[indices[16 b + lane], c, row, column] * scale[c] + shift[c].

    images is flat, any numeric type; lanes beyond the last index are zero. shift has one value per channel, or is an
    image: then it is shift[c, row, column].
    """
    shift_step = shift.size // channels
    column_step = 0 if shift_step == 1 else 1
    count = indices.size
    blocks = (count + LANES - 1) // LANES
    for index in prange(blocks * rows):
        unit = np.intp(index)
        b, row = unit // rows, unit % rows
        for c in range(channels):
            for lane in range(LANES):
                place = (unit * columns * channels + c) * LANES + lane
                if b * LANES + lane < count:
                    source = ((indices[b * LANES + lane] * channels + c) * rows + row) * columns
                    shift_at = c * shift_step + row * columns * column_step
                    for column in range(columns):
                        value = lanes.dtype.type(images[np.uintp(source + column)])
                        shifted = value * scale[c] + shift[np.uintp(shift_at + column * column_step)]
                        lanes[np.uintp(place + column * channels * LANES)] = shifted
                else:
                    for column in range(columns):
                        lanes[np.uintp(place + column * channels * LANES)] = 0


@parallel_kernel
def from_lanes(lanes, images, count, channels, rows, columns):
    """Write images[n, c, row, column] = lanes[b, row, column, c, lane] for n = 16 b + lane < count."""
    for index in prange(count * channels):
        unit = np.intp(index)
        n, c = unit // channels, unit % channels
        source, target = (n // LANES * rows * columns * channels + c) * LANES + n % LANES, unit * rows * columns
        for pixel in range(rows * columns):
            images[np.uintp(target + pixel)] = lanes[np.uintp(source + pixel * channels * LANES)]


@parallel_kernel
def gather(values, indices, packed):
    """packed[i] = values[indices[i]]."""
    parts = 16
    for index in prange(parts):
        part = np.intp(index)
        for i in range(np.uintp(part * indices.size // parts), np.uintp((part + 1) * indices.size // parts)):
            packed[i] = values[np.uintp(indices[i])]
