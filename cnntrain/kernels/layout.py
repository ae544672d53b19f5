"""Between arrays as users know them (image, channel, row, column) and the batch-lane layout, and packing of weights.

Letters: b block, c channel, n image; a *plane* is a channel of one image, its pixels row by row. Indices are unsigned:
of a signed one Numba asks whether it counts from the end, which takes longer than the copy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, parallel_kernel
from cnntrain.kernels.lanes import constant, convert, fma, load, store, store_transposed
from cnntrain.kernels.work import UNITS, blocks_of, share, used_lanes
from cnntrain.shape import LANES


class Source(NamedTuple):
    """What is brought into lanes: the images that the indices name, each pixel times scale[c], plus its shift.

    shift has one number per channel, or one per pixel of an image.
    """

    images: Any
    indices: Any
    scale: Any
    shift: Any
    channels: int
    plane: int  # pixels


@inlined_kernel
def place_of(source, b, c, pixel):
    """Return where the lanes of a pixel are."""
    return ((b * source.plane + pixel) * source.channels + c) * LANES


@inlined_kernel
def sixteen_pixels(source, lanes, b, c, pixel):
    """Bring 16 pixels of a channel of one block's images into lanes.

    As vectors along its row each image goes to one of the lines where the pixels belong, and there they are transposed.
    """
    place, step = place_of(source, b, c, pixel), source.channels * LANES
    used, per_pixel = used_lanes(b, source.indices.size), source.shift.size > source.channels
    factor = constant(lanes, source.scale[c])
    for lane in range(LANES):
        line = constant(lanes, 0)
        if lane < used:
            plane = source.indices[b * LANES + lane] * source.channels + c
            value = convert(load(source.images, plane * source.plane + pixel), lanes)
            if per_pixel:
                line = fma(value, factor, load(source.shift, c * source.plane + pixel))
            else:
                line = fma(value, factor, constant(lanes, source.shift[c]))
        store(lanes, place + lane * step, line)
    store_transposed(lanes, place, step, lanes, place, step)


@inlined_kernel
def few_pixels(source, lanes, b, c):
    """Bring a channel of less than 16 pixels of one block's images into lanes, one by one."""
    used, per_pixel = used_lanes(b, source.indices.size), source.shift.size > source.channels
    for pixel in range(source.plane):
        for lane in range(LANES):
            at = np.uintp(place_of(source, b, c, pixel) + lane)
            lanes[at] = 0
            if lane < used:
                plane = source.indices[b * LANES + lane] * source.channels + c
                value = lanes.dtype.type(source.images[np.uintp(plane * source.plane + pixel)])
                added = source.shift[c * source.plane + pixel if per_pixel else c]
                lanes[at] = value * source.scale[c] + added


@parallel_kernel
def to_lanes(images, indices, scale, shift, lanes, channels, rows, columns):
    """Write lanes[b, row, column, c, lane] = images[indices[16 b + lane], c, row, column] * scale[c] + shift[c].

    images is flat, any numeric type; lanes beyond the last index are zero. shift has one value per channel, or is an
    image: then it is shift[c, row, column].
    """
    source = Source(images, indices, scale, shift, channels, rows * columns)
    groups = max(source.plane // LANES, 1)  # of 16 pixels
    for index in prange(blocks_of(indices.size) * groups):
        unit = np.intp(index)
        b, group = unit // groups, unit % groups
        for c in range(channels):
            if source.plane < LANES:
                few_pixels(source, lanes, b, c)
            else:
                sixteen_pixels(source, lanes, b, c, group * LANES)
                # the last unit of an image also brings its last pixels, and with them once more some of those before
                if group == groups - 1 and source.plane % LANES > 0:
                    sixteen_pixels(source, lanes, b, c, source.plane - LANES)


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
    for index in prange(UNITS):
        begin, end = share(np.intp(index), UNITS, indices.size)
        for i in range(np.uintp(begin), np.uintp(end)):
            packed[i] = values[np.uintp(indices[i])]
