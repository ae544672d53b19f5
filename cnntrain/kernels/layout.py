"""Between arrays as users know them (image, channel, row, column) and the batch-lane layout, and packing of weights.

Indices are unsigned: of a signed one Numba asks whether it counts from the end, which takes longer than the copy.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.lanes import constant, convert, load, store, store_transposed
from cnntrain.shape import LANES


@kernel
def sixteen_pixels(images, indices, first, used, plane, scale, shift, per_pixel, lanes, c, channels, pixel, place):
    """Bring 16 pixels of a channel of `used` images to lanes[place:].

    As vectors along its row each image goes to one of the lines where the pixels belong, and there they are transposed.
    """
    step = channels * LANES
    factor = constant(lanes, scale[c])
    for lane in range(LANES):
        line = constant(lanes, 0)
        if lane < used:
            value = convert(load(images, (indices[first + lane] * channels + c) * plane + pixel), lanes)
            added = load(shift, c * plane + pixel) if per_pixel else constant(lanes, shift[c])
            line = value * factor + added
        store(lanes, place + lane * step, line)
    store_transposed(lanes, place, step, lanes, place, step)


@kernel
def few_pixels(images, indices, first, used, plane, scale, shift, per_pixel, lanes, c, channels, place):
    """Bring a channel of less than 16 pixels of `used` images to lanes[place:], one by one."""
    for pixel in range(plane):
        for lane in range(LANES):
            at = np.uintp(place + pixel * channels * LANES + lane)
            lanes[at] = 0
            if lane < used:
                source = np.uintp((indices[first + lane] * channels + c) * plane + pixel)
                added = shift[c * plane + pixel if per_pixel else c]
                lanes[at] = lanes.dtype.type(images[source]) * scale[c] + added


@parallel_kernel
def to_lanes(images, indices, scale, shift, lanes, channels, rows, columns):
    """Write lanes[b, row, column, c, lane] = images[indices[16 b + lane], c, row, column] * scale[c] + shift[c].

    images is flat, any numeric type; lanes beyond the last index are zero. shift has one value per channel, or is an
    image: then it is shift[c, row, column].
    """
    plane, count = rows * columns, indices.size
    per_pixel = shift.size > channels
    groups = max(plane // LANES, 1)
    for index in prange((count + LANES - 1) // LANES * groups):
        unit = np.intp(index)
        b, group = unit // groups, unit % groups
        first, used = b * LANES, min(count - b * LANES, LANES)
        # the last unit of an image also brings its last pixels, and with them once more some of those before
        turns = 0 if plane < LANES else 2 if group == groups - 1 and plane % LANES > 0 else 1
        for c in range(channels):
            for turn in range(turns):
                pixel = group * LANES if turn == 0 else plane - LANES
                at = ((b * plane + pixel) * channels + c) * LANES
                sixteen_pixels(
                    images, indices, first, used, plane, scale, shift, per_pixel, lanes, c, channels, pixel, at
                )
            if turns == 0:
                at = (b * plane * channels + c) * LANES
                few_pixels(images, indices, first, used, plane, scale, shift, per_pixel, lanes, c, channels, at)


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
