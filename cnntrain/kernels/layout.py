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
    shift_step = np.uintp(shift.size // channels)
    column_step = np.uintp(0 if shift_step == 1 else 1)
    count, channels, rows, columns = np.uintp(indices.size), np.uintp(channels), np.uintp(rows), np.uintp(columns)
    blocks = (count + LANES - 1) // LANES
    for index in prange(blocks * rows):
        unit = np.uintp(index)
        b, row = unit // rows, unit % rows
        for c in range(np.uintp(channels)):
            for lane in range(np.uintp(LANES)):
                place = (unit * columns * channels + c) * LANES + lane
                if b * LANES + lane < count:
                    source = ((np.uintp(indices[b * LANES + lane]) * channels + c) * rows + row) * columns
                    shift_at = c * shift_step + row * columns * column_step
                    for column in range(columns):
                        value = lanes.dtype.type(images[source + column])
                        shifted = value * scale[c] + shift[shift_at + column * column_step]
                        lanes[place + column * channels * LANES] = shifted
                else:
                    for column in range(columns):
                        lanes[place + column * channels * LANES] = 0


@parallel_kernel
def from_lanes(lanes, images, count, channels, rows, columns):
    """Write images[n, c, row, column] = lanes[b, row, column, c, lane] for n = 16 b + lane < count."""
    for index in prange(count * channels):
        unit = np.uintp(index)
        n, c = unit // np.uintp(channels), unit % np.uintp(channels)
        height, width, lane = np.uintp(rows), np.uintp(columns), n % np.uintp(LANES)
        for row in range(height):
            for column in range(width):
                at = (((n // np.uintp(LANES) * height + row) * width + column) * np.uintp(channels) + c) * np.uintp(
                    LANES
                )
                images[(unit * height + row) * width + column] = lanes[at + lane]


@parallel_kernel
def gather(values, indices, packed):
    """packed[i] = values[indices[i]]."""
    parts = 16
    for index in prange(parts):
        part = np.intp(index)
        for i in range(np.uintp(part * indices.size // parts), np.uintp((part + 1) * indices.size // parts)):
            packed[i] = values[np.uintp(indices[i])]
