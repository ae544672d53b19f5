"""Depthwise convolution: one filter for each channel. The channels of a register tile lie side by side in memory.

Letters, layout and the law of `Axis` as in `kernels.convolution`. The inner loop loads one lane vector and broadcasts
one weight for each channel of the tile, so memory sets the pace, not arithmetic.

Weights are packed as (r, s, channel). Backward to the input is the same kernel, with the weights rotated by 180° and
one call for each phase of the stride. Backward to the weights multiplies lanes with lanes, a row of the delta with a
row of the image for all taps of a filter's row at a time; taps on the padding are left out. Slots as in
`kernels.weight_gradient`.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.convolution import end_tap, first_tap
from cnntrain.kernels.geometry import Axis, Tiles
from cnntrain.kernels.lanes import (
    accumulate_pairs,
    accumulate_shifted,
    constant,
    store,
    tile_load,
    tile_splat,
    tile_store,
)
from cnntrain.shape import LANES


@kernel
def depthwise_row(image, weights, at, bias, output, b, i, k, rows, columns, channels, tile_of):
    """Compute one output row of `len(tile_of)` channels from `k` on."""
    width = channels * LANES
    row = i * rows.stride + rows.offset
    r0, r1 = first_tap(rows, row), end_tap(rows, row)
    line = (b * rows.output_size + rows.first + i * rows.step) * columns.output_size
    for j in range(columns.count):
        column = j * columns.stride + columns.offset
        s0, s1 = first_tap(columns, column), end_tap(columns, column)
        corner = (b * rows.input_size + row) * columns.input_size + column
        tile = tile_splat(bias, k, (0,), tile_of)
        for r in range(r0, r1):
            x = (corner + r * rows.dilation * columns.input_size + s0 * columns.dilation) * width + k * LANES
            w = at + (r * columns.taps + s0) * channels + k
            for _ in range(s0, s1):
                tile = accumulate_pairs(tile, image, x, weights, w)
                x += columns.dilation * width
                w += channels
        tile_store(output, (line + columns.first + j * columns.step) * width + k * LANES, LANES, LANES, tile)


@parallel_kernel
def depthwise(image, weights, at, bias, output, blocks, channels, geometry, tall, short):
    """Correlate each channel with its own filter, packed at `at`.

    Parameters
    ----------
    image, output : 1-D array, float32 or float64
    weights, bias : 1-D array
        Packed (r, s, channel); one number per channel.
    geometry : tuple of (rows, columns, tiles)
        Axis, Axis and Tiles (how the channels are cut), each as a plain tuple.
    tall, short : tuple of int
        Only their lengths count: the two tile sizes.
    """
    rows, columns, tiles = Axis(*geometry[0]), Axis(*geometry[1]), Tiles(*geometry[2])
    for index in prange(blocks * rows.count):
        unit = np.intp(index)
        b, i = unit // rows.count, unit % rows.count
        k = np.intp(0)
        for _ in range(tiles.tall):
            depthwise_row(image, weights, at, bias, output, b, i, k, rows, columns, channels, tall)
            k += len(tall)
        for _ in range(tiles.short):
            depthwise_row(image, weights, at, bias, output, b, i, k, rows, columns, channels, short)
            k += len(short)


@kernel
def add_taps(partial, at, image, source, delta, target, x0, x1, columns, channels, tile_of, taps):
    """Add the outputs x0 to x1 of a row to `len(taps)` taps side by side; tap 0 of output 0 reads at `source`."""
    width = channels * LANES
    tile = tile_load(partial, at, LANES, width, tile_of, taps)
    x = source + x0 * columns.stride * width
    d = target + x0 * width
    for _ in range(x0, x1):
        tile = accumulate_shifted(tile, delta, d, image, x, columns.dilation * width)
        x += columns.stride * width
        d += width
    tile_store(partial, at, LANES, width, tile)


@kernel
def add_border(partial, at, image, source, delta, target, x0, x1, columns, channels, tile_of):
    """Add the outputs x0 to x1, some of whose taps fall on the padding, tap by tap."""
    for x in range(x0, x1):
        column = x * columns.stride + columns.offset
        for s in range(first_tap(columns, column), end_tap(columns, column)):
            tap = source + s * columns.dilation * channels * LANES
            place = at + s * channels * LANES
            add_taps(partial, place, image, tap, delta, target, x, x + 1, columns, channels, tile_of, (0,))


@kernel
def add_line(partial, base, image, delta, b, y, k, rows, columns, channels, tile_of, taps):
    """Add one output row to all taps of `len(tile_of)` channels from `k` on."""
    width = channels * LANES
    target = (b * rows.count + y) * columns.count * width + k * LANES
    # outputs x0 to x1 have no tap on the padding
    reach = columns.offset + (columns.taps - 1) * columns.dilation
    x0 = min(max((columns.stride - 1 - columns.offset) // columns.stride, 0), columns.count)
    x1 = max(min((columns.input_size - reach + columns.stride - 1) // columns.stride, columns.count), x0)
    whole = columns.taps - columns.taps % len(taps)
    for r in range(rows.taps):
        row = y * rows.stride + rows.offset + r * rows.dilation
        if 0 <= row < rows.input_size:
            source = ((b * rows.input_size + row) * columns.input_size + columns.offset) * width + k * LANES
            at = base + r * columns.taps * width + k * LANES
            add_border(partial, at, image, source, delta, target, 0, x0, columns, channels, tile_of)
            for s in range(0, whole, len(taps)):
                tap, place = source + s * columns.dilation * width, at + s * width
                add_taps(partial, place, image, tap, delta, target, x0, x1, columns, channels, tile_of, taps)
            for s in range(whole, columns.taps):
                tap, place = source + s * columns.dilation * width, at + s * width
                add_taps(partial, place, image, tap, delta, target, x0, x1, columns, channels, tile_of, (0,))
            add_border(partial, at, image, source, delta, target, x1, columns.count, columns, channels, tile_of)


@parallel_kernel
def depthwise_weight_gradient(image, delta, partial, blocks, fresh, channels, slots, geometry, tall, short, taps):
    """Add to partial (slot, r, s, channel, lane), or with `fresh` to zero; arguments as for `depthwise`.

    As many taps of a row as `taps` is long are done at a time.
    """
    rows, columns, tiles = Axis(*geometry[0]), Axis(*geometry[1]), Tiles(*geometry[2])
    size = rows.taps * columns.taps * channels * LANES
    lines = blocks * rows.count
    for index in prange(slots):
        slot = np.intp(index)
        for p in range(slot * size, (slot + fresh) * size, LANES):
            store(partial, p, constant(image, 0))
        for line in range(slot * lines // slots, (slot + 1) * lines // slots):
            b, y = line // rows.count, line % rows.count
            k = np.intp(0)
            for _ in range(tiles.tall):
                add_line(partial, slot * size, image, delta, b, y, k, rows, columns, channels, tall, taps)
                k += len(tall)
            for _ in range(tiles.short):
                add_line(partial, slot * size, image, delta, b, y, k, rows, columns, channels, short, taps)
                k += len(short)
