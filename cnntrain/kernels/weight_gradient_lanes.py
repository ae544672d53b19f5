"""Backward to the weights by scheme A: lane vector times lane vector, lanes are added once at the end.

Letters and law as in `kernels.weight_gradient`. It goes through the batch by rows of the delta, each of which is read
once, and holds all rows of the image that one of them meets: the scheme is for layers whose image has fewer numbers
than their delta. Where max-pooling follows, it takes the gradient behind it, and makes the delta of a row of windows
itself.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.convolution import end_tap, first_tap
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.lanes import accumulate_lanes, constant, load, narrow_tile_load, store, tile_store
from cnntrain.kernels.pooling import Pooled, Windows, unpool
from cnntrain.kernels.weight_gradient import Division, add_sums, row_length
from cnntrain.shape import LANES


@kernel
def copy_row_between_margins(image, source, target, at, columns, width):
    """Copy one image row from `source` to target[at:], with zeros where taps overhang."""
    zero = constant(image, 0)
    total = row_length(columns) * width
    begin = min(-columns.offset * width, total)
    end = min(begin + columns.input_size * width, total)
    for p in range(0, begin, LANES):
        store(target, at + p, zero)
    for p in range(begin, end, LANES):
        store(target, at + p, load(image, source + p - begin))
    for p in range(end, total, LANES):
        store(target, at + p, zero)


@kernel
def tile_by_lanes(partial, at, pixels, x, x_step, delta, d, d_step, count, filters, positions, lanes):
    """Multiply `positions` lane vectors from pixels[x] with `filters` from delta[d], along a row.

    An accumulator has as many lanes as a register, and takes the 16 lanes in turn: with all 16 in two registers, there
    would be room for half as many, and more to load for each multiply-add.
    """
    tile = narrow_tile_load(partial, at, len(filters) * LANES, LANES, positions, filters, lanes)
    for _ in range(count):
        for lane in range(0, LANES, len(lanes)):
            tile = accumulate_lanes(tile, pixels, x + lane, LANES, delta, d + lane, LANES)
        d += d_step
        x += x_step
    tile_store(partial, at, len(filters) * LANES, LANES, tile)


@kernel
def unit_by_lanes(
    unit, image, delta, mask, partial, sums, scratch, blocks, fresh, rows, columns, channels, pooled, division, tiles,
    filters, tall, short, lanes, high, wide,
):  # fmt: skip
    """Do one unit of `by_lanes`: some filters, some rows of windows of the batch's delta."""
    image_width, delta_width = channels.groups * channels.inputs * LANES, channels.groups * channels.outputs * LANES
    contiguous = columns.dilation == 1 and channels.groups == 1
    runs = 1 if contiguous else columns.taps
    length = columns.taps * channels.inputs if contiguous else channels.inputs
    width = len(filters) * LANES
    size = rows.taps * runs * length * width
    cuts = channels.outputs // len(filters)

    slot, bundle = unit % division.slots, unit // division.slots  # bundles of all groups, in order
    group, bundle = bundle // division.bundles, bundle % division.bundles
    first, last = bundle * cuts // division.bundles, (bundle + 1) * cuts // division.bundles
    base = (slot * channels.groups + group) * cuts * size
    begin, end = base + first * size, base + last * size
    for p in range(begin, begin + fresh * (end - begin), LANES):  # LLVM would compile all that follows a branch twice
        store(partial, p, constant(image, 0))
    summed = min(sums.size, 1)
    sums_at = (slot * channels.groups + group) * channels.outputs
    for k in range(sums_at + first * len(filters), sums_at + fresh * summed * last * len(filters)):
        sums[np.uintp(k)] = 0

    # of the image's rows between margins, those that a row of windows meets, each in its place
    pitch = row_length(columns) * image_width
    held = (len(high) - 1) * rows.stride + (rows.taps - 1) * rows.dilation + 1
    place = unit * (scratch.size // (channels.groups * division.bundles * division.slots))
    routed, step = place + held * pitch, columns.stride * image_width
    copied = np.intp(0)
    lines = blocks * pooled.rows
    for line in range(slot * lines // division.slots, (slot + 1) * lines // division.slots):
        source = line // pooled.rows * rows.input_size
        top = line % pooled.rows * len(high) * rows.stride + rows.offset
        for row in range(max(source + top, source, copied), source + min(top + held, rows.input_size)):
            from_ = row * columns.input_size * image_width
            copy_row_between_margins(image, from_, scratch, place + row % held * pitch, columns, image_width)
            copied = row + 1
        for t in range(first, last):
            at = line * pooled.columns * delta_width + (group * channels.outputs + t * len(filters)) * LANES
            for _ in range(summed):
                k = sums_at + t * len(filters)
                add_sums(delta, at, delta_width, pooled.columns, len(filters), sums, k)
            if len(high) * len(wide) > 1:
                row_size = columns.count * width
                windows = Windows(at, delta_width, pooled.columns, width)
                unpool(delta, mask, windows, scratch, routed, row_size, high, wide)
                z, d, d_row, d_step = scratch, routed, row_size, width
            else:
                z, d, d_row, d_step = delta, at, 0, delta_width
            for q in range(len(high)):
                base_row = top + q * rows.stride
                for r in range(first_tap(rows, base_row), end_tap(rows, base_row)):
                    pixels = place + (source + base_row + r * rows.dilation) % held * pitch
                    for run in range(runs):
                        x = pixels + (run * columns.dilation * channels.groups + group) * channels.inputs * LANES
                        at = base + t * size + (r * runs + run) * length * width
                        for _ in range(tiles.tall):
                            tile_by_lanes(
                                partial, at, scratch, x, step, z, d, d_step, columns.count, filters, tall, lanes
                            )
                            at += len(tall) * width
                            x += len(tall) * LANES
                        for _ in range(tiles.short):
                            tile_by_lanes(
                                partial, at, scratch, x, step, z, d, d_step, columns.count, filters, short, lanes
                            )
                            at += len(short) * width
                            x += len(short) * LANES
                d += d_row


@parallel_kernel
def by_lanes(
    image, delta, mask, partial, sums, scratch, blocks, fresh, geometry, filters, tall, short, lanes, high, wide
):
    """Scheme A: add to partial[slot, group, tile of filters, (r, s, c), filter of the tile, lane].

    Parameters
    ----------
    image, delta : 1-D array, float32 or float64
        In the layout of `kernels.convolution`. Where max-pooling follows, delta is the gradient behind it.
    mask : 1-D array, int16
        The winner of each window of that pooling; else empty.
    partial, sums : 1-D array
        Results; sums is (slot, filter), to which the delta alone is added, or empty where nobody asks for it.
    scratch : 1-D array
        Room for each unit's image rows between margins, as many as a row of windows meets, and for its delta.
    fresh : bool
        The results begin with zero; else with what they hold.
    geometry : tuple of (rows, columns, channels, pooled, division, tiles)
        Axis, Axis (of the forward pass), Channels, Pooled, Division and Tiles (how a run of positions is cut), each
        as a plain tuple.
    filters, tall, short, lanes, high, wide : tuple of int
        Only their lengths count: filters of a tile, its positions, lanes of a register, and the window's, which is
        1 x 1 where no pooling follows.
    """
    rows, columns, channels = Axis(*geometry[0]), Axis(*geometry[1]), Channels(*geometry[2])
    pooled, division, tiles = Pooled(*geometry[3]), Division(*geometry[4]), Tiles(*geometry[5])
    for index in prange(channels.groups * division.bundles * division.slots):
        unit_by_lanes(
            np.intp(index), image, delta, mask, partial, sums, scratch, blocks, fresh, rows, columns, channels, pooled,
            division, tiles, filters, tall, short, lanes, high, wide,
        )  # fmt: skip
