"""A network as a program: one call runs all its layers on few images, with lanes along channels instead of images.

A program is a table of whole numbers (`kernels.instructions`). All activations are in one array, the *arena*, at
places that the program's author has laid out. Images are shared out among units, each with an arena of its own; nothing
that is computed of an image depends on the others.

This kernel is compiled once for all networks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels import few_channels as parts
from cnntrain.kernels.compiler.jit import outer_kernel, parallel_kernel
from cnntrain.kernels.few_windows import windows
from cnntrain.kernels.instructions import (
    ACTIVATE,
    ADD,
    ADD_SUBSAMPLED,
    AVERAGE_POOL,
    BORDERED,
    COPY_CHANNELS,
    DEPTHWISE,
    LOCAL_RESPONSE,
    MAX_POOL,
    PER_CHANNEL,
    WIDTH,
    WINDOWS,
)
from cnntrain.kernels.lanes import memory, put, take
from cnntrain.kernels.lanes.places import memory_from
from cnntrain.kernels.work import share


class Values(NamedTuple):
    """The `memory` of a program's arrays; the arena is a unit's own."""

    arena: Any
    weights: Any
    places: Any


@outer_kernel
def run_instructions(values, table, count, images, sizes):
    """Run all instructions on the images in the arena."""
    for index in range(count):
        kind, at = take(table, index * WIDTH), index * WIDTH + 1
        if kind == WINDOWS:
            windows((values, sizes[4]), table, at, images, sizes[:4])
        elif kind == ACTIVATE:
            parts.activate(values, table, at, images)
        elif kind == MAX_POOL:
            parts.max_pool(values, table, at, images)
        elif kind == BORDERED:
            parts.bordered(values, table, at, images)
        elif kind == PER_CHANNEL:
            parts.per_channel(values, table, at, images)
        elif kind == ADD:
            parts.add(values, table, at, images)
        elif kind == DEPTHWISE:
            parts.depthwise(values, table, at, images)
        elif kind == AVERAGE_POOL:
            parts.average_pool(values, table, at, images)
        elif kind == ADD_SUBSAMPLED:
            parts.add_subsampled(values, table, at, images)
        elif kind == COPY_CHANNELS:
            parts.copy_channels(values, table, at, images)
        elif kind == LOCAL_RESPONSE:
            parts.local_response(values, table, at, images)


@parallel_kernel
def run_program(pixels, arena, weights, places, table, outputs, job, sizes):
    """Compute the outputs of all images.

    Parameters
    ----------
    pixels, outputs : 1-D array, float32 or float64
        Images one after the other: (row, column, channel) normalised, and what the last layer gives.
    arena : 1-D array
        `arena_size` numbers for each unit.
    weights : 1-D array
        What the instructions say.
    places : 1-D array of int32
    table : 1-D array of int64
    job : tuple of int
        How many images, units, images that a unit computes together, numbers of a unit's arena, instructions, numbers
        of an image; where images begin in the arena; numbers of an output; where outputs begin.
    sizes : tuple of (most, four, two, one, lanes)
        Dummy tuples: positions or vectors of filters in a register tile, and the numbers of a vector.
    """
    images, units, together, arena_size, instructions, pixel_size, source, output_size, target = job
    most, four, two, one, lanes = sizes  # apart: tuples in tuples do not enter a parallel loop
    for index in prange(units):
        unit = np.intp(index)
        first, last = share(unit, units, images)
        values = Values(memory_from(arena, unit * arena_size), memory(weights), memory(places))
        own, given, made = values.arena, memory(pixels), memory(outputs)
        for start in range(first, last, together):
            some = min(last - start, together)
            for i in range(some * pixel_size):
                put(own, source + i, take(given, start * pixel_size + i))
            run_instructions(values, memory(table), instructions, some, (most, four, two, one, lanes))
            for i in range(some * output_size):
                put(made, start * output_size + i, take(own, target + i))


@parallel_kernel
def to_pixels(images, scale, shift, pixels, count, shape):
    """Write pixels[n, row, column, c] = images[n, c, row, column] * scale[c] + shift[c].

    images is flat, any numeric type. shift has one value per channel, or is an image: then it is shift[c, row, column].
    `shape` is (channels, pixels of an image). In whole vectors of pixels, as `layout.to_lanes`: the same bits.
    """
    channels, plane = shape
    for index in prange(count * channels):
        unit = np.intp(index)
        n, c = unit // channels, unit % channels
        per_pixel, factor = shift.size > channels, scale[c]
        source, target = unit * plane, n * plane * channels + c
        for pixel in range(np.uintp(plane)):
            value = pixels.dtype.type(images[np.uintp(source + pixel)])
            added = shift[np.uintp(c * plane + pixel) if per_pixel else np.uintp(c)]
            pixels[np.uintp(target + pixel * channels)] = value * factor + added
