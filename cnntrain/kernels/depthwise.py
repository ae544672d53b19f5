"""Depthwise convolution: one filter for each channel. The channels of a register tile lie side by side in memory.

Letters, layout and the law of `geometry.Axis` as in `kernels.convolution`. The inner loop loads one lane vector and
broadcasts one weight for each channel of the tile, so memory sets the pace, not arithmetic.

Weights are packed as (r, s, channel). Backward to the input is the same kernel, with the weights rotated by 180° and
one call for each phase of the stride. Backward to the weights multiplies lanes with lanes, a row of the delta with a
row of the image for all taps of a filter's row at a time; taps on the padding are left out. Slots as in
`kernels.weight_gradient`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, outer_kernel, parallel_kernel, shared
from cnntrain.kernels.convolution import Arrays, end_tap, first_tap
from cnntrain.kernels.geometry import Axis, Tiles
from cnntrain.kernels.lanes import (
    accumulate_pairs,
    accumulate_shifted,
    constant,
    memory,
    store,
    tile_load,
    tile_splat,
    tile_store,
)
from cnntrain.kernels.work import each_tile, share
from cnntrain.shape import LANES


class Planes(NamedTuple):
    """The axes of a depthwise correlation, and how many numbers a pixel has."""

    rows: Axis
    columns: Axis
    width: int


@kernel
def correlate_channels(state, k, heights):
    """Compute one output row, number i of block b, of `len(heights)` channels from k on."""
    arrays, planes, at, b, i = state
    rows, columns, width = planes
    row = i * rows.stride + rows.offset
    r0, r1 = first_tap(rows, row), end_tap(rows, row)
    line = (b * rows.output_size + rows.first + i * rows.step) * columns.output_size
    for j in range(columns.count):
        column = j * columns.stride + columns.offset
        s0, s1 = first_tap(columns, column), end_tap(columns, column)
        corner = (b * rows.input_size + row) * columns.input_size + column
        tile = tile_splat(arrays.bias, k, (0,), heights)
        for r in range(r0, r1):
            x = (corner + r * rows.dilation * columns.input_size + s0 * columns.dilation) * width + k * LANES
            w = at + (r * columns.taps + s0) * (width // LANES) + k
            for _ in range(s0, s1):
                tile = accumulate_pairs(tile, arrays.image, x, arrays.weights, w)
                x += columns.dilation * width
                w += width // LANES
        place = (line + columns.first + j * columns.step) * width + k * LANES
        tile_store(arrays.output, place, LANES, LANES, tile)


@outer_kernel
def depthwise_row(unit, arrays, plain_axes, tiles, channels, at, sizes):
    """Give the plain tuples names, and compute one output row of all channels."""
    planes = Planes(Axis(*plain_axes[0]), Axis(*plain_axes[1]), channels * LANES)
    b, i = unit // planes.rows.count, unit % planes.rows.count
    tall, short = sizes
    each_tile(correlate_channels, (arrays, planes, at, b, i), Tiles(*tiles), tall, short)


@parallel_kernel
def depthwise(image, weights, bias, output, blocks, geometry, sizes):
    """Correlate each channel with its own filter.

    Parameters
    ----------
    image, output : 1-D array, float32 or float64
    weights, bias : 1-D array
        Packed (r, s, channel); one number per channel.
    geometry : tuple of (rows, columns, tiles, channels, at)
        Axis, Axis and Tiles (how the channels are cut), each as a plain tuple; where the packed weights begin.
    sizes : tuple of (tall, short)
        Dummy tuples: the two tile sizes.
    """
    rows, columns, tiles, channels, at = geometry  # apart: tuples in tuples do not enter a parallel loop
    tall, short = sizes
    for index in prange(blocks * Axis(*rows).count):
        arrays = Arrays(memory(image), memory(weights), memory(bias), memory(output))
        depthwise_row(np.intp(index), arrays, (rows, columns), tiles, channels, at, (tall, short))


class Sums(NamedTuple):
    """Arrays of the weight gradient: partial (slot, r, s, channel, lane) is written."""

    image: object
    delta: object
    partial: object


class Line(NamedTuple):
    """A run of outputs of a row, x0 to before x1, and where things are.

    Tap 0 of output 0 reads at `source`, the delta of output 0 is at `target`, the sum of tap 0 is at `sum`.
    """

    source: int
    target: int
    sum: int
    x0: int
    x1: int


@shared
def partial_room(rows, columns, channels):
    """Return how many numbers the sums of a slot take."""
    return rows.taps * columns.taps * channels * LANES


@kernel
def add_taps(arrays, planes, line, heights, taps):
    """Add a run of outputs to `len(taps)` taps side by side, of `len(heights)` channels."""
    columns, width = planes.columns, planes.width
    tile = tile_load(arrays.partial, line.sum, LANES, width, heights, taps)
    x = line.source + line.x0 * columns.stride * width
    d = line.target + line.x0 * width
    for _ in range(line.x0, line.x1):
        tile = accumulate_shifted(tile, arrays.delta, d, arrays.image, x, columns.dilation * width)
        x += columns.stride * width
        d += width
    tile_store(arrays.partial, line.sum, LANES, width, tile)


@kernel
def shifted(line, planes, s, x0, x1):
    """Return another run of outputs of a line, for the taps from s on."""
    return Line(
        line.source + s * planes.columns.dilation * planes.width, line.target, line.sum + s * planes.width, x0, x1
    )


@kernel
def add_border(arrays, planes, line, x0, x1, heights):
    """Add the outputs x0 to before x1, some of whose taps fall on the padding, tap by tap."""
    columns = planes.columns
    for x in range(x0, x1):
        column = x * columns.stride + columns.offset
        for s in range(first_tap(columns, column), end_tap(columns, column)):
            add_taps(arrays, planes, shifted(line, planes, s, x, x + 1), heights, (0,))


@outer_kernel
def add_row(arrays, planes, line, heights, taps):
    """Add an output row to a row of taps: borders tap by tap, what lies between them many taps at a time."""
    columns = planes.columns
    # outputs x0 to before x1 have no tap on the padding
    reach = columns.offset + (columns.taps - 1) * columns.dilation
    x0 = min(max((columns.stride - 1 - columns.offset) // columns.stride, 0), columns.count)
    x1 = max(min((columns.input_size - reach + columns.stride - 1) // columns.stride, columns.count), x0)
    whole = columns.taps - columns.taps % len(taps)
    add_border(arrays, planes, line, 0, x0, heights)
    for s in range(0, whole, len(taps)):
        add_taps(arrays, planes, shifted(line, planes, s, x0, x1), heights, taps)
    for s in range(whole, columns.taps):
        add_taps(arrays, planes, shifted(line, planes, s, x0, x1), heights, (0,))
    add_border(arrays, planes, line, x1, columns.count, heights)


@outer_kernel
def add_channels(state, k, heights):
    """Add output row y of block b to all taps of `len(heights)` channels from k on."""
    arrays, planes, base, b, y, taps = state
    rows, columns, width = planes
    target = (b * rows.count + y) * columns.count * width + k * LANES
    for r in range(rows.taps):
        row = y * rows.stride + rows.offset + r * rows.dilation
        if 0 <= row < rows.input_size:
            source = ((b * rows.input_size + row) * columns.input_size + columns.offset) * width + k * LANES
            at = base + r * columns.taps * width + k * LANES
            add_row(arrays, planes, Line(source, target, at, 0, 0), heights, taps)


@outer_kernel
def add_slot(slot, arrays, batch, plain_axes, tiles, channels, sizes):
    """Add the rows of a slot, or with `fresh` begin with zero."""
    blocks, fresh, slots = batch
    planes = Planes(Axis(*plain_axes[0]), Axis(*plain_axes[1]), channels * LANES)
    rows, columns, _ = planes
    tall, short, taps = sizes
    size = partial_room(rows, columns, channels)
    for p in range(slot * size, (slot + fresh) * size, LANES):
        store(arrays.partial, p, constant(arrays.image, 0))
    first, last = share(slot, slots, blocks * rows.count)
    for line in range(first, last):
        state = (arrays, planes, slot * size, line // rows.count, line % rows.count, taps)
        each_tile(add_channels, state, Tiles(*tiles), tall, short)


@parallel_kernel
def depthwise_weight_gradient(image, delta, partial, batch, geometry, sizes):
    """Add to partial (slot, r, s, channel, lane), or with `fresh` to zero.

    Parameters
    ----------
    image, delta : 1-D array, float32 or float64
    partial : 1-D array
        A `partial_room` for each slot.
    batch : tuple of (blocks, fresh, slots)
    geometry : tuple of (rows, columns, tiles, channels)
        Axis, Axis (of the forward pass) and Tiles (how the channels are cut), each as a plain tuple.
    sizes : tuple of (tall, short, taps)
        Dummy tuples: the two tile sizes, and as many taps of a row as are done at a time.
    """
    rows, columns, tiles, channels = geometry  # apart: tuples in tuples do not enter a parallel loop
    tall, short, taps = sizes
    for index in prange(batch[2]):
        arrays = Sums(memory(image), memory(delta), memory(partial))
        add_slot(np.intp(index), arrays, batch, (rows, columns), tiles, channels, (tall, short, taps))
