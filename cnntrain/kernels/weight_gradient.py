"""Backward to the weights: a valid correlation of the input with the delta, summed over the batch.

    grad_weight[k, c, r, s] = sum over images, y, x of
        delta[k, y, x] * image[c, y * stride + r * dilation - padding, x * stride + s * dilation - padding]

Both schemes take one row of the image at a time, bring it between zero margins where taps overhang, and go through the
rows of the delta that it meets. A *position* is a pair (s, c); the positions of a tap row lie side by side in memory.
The accumulators of a tile stay in registers along a row.

A, by lanes: tile = filters x positions, lane vector times lane vector; lanes are added once, at the end. For rows with
   few positions (the first layer), of which a vector of 16 would be mostly empty.
B, by positions: the image's row is transposed to (lane, x, c), so that 16 positions make a vector; tile = vectors of
   positions x filters; each lane of the delta is a number to broadcast. The inner loop is that of the forward pass, no
   lanes are left to add, and a dense layer is the case of a single row and a single tap.

The image rows of the batch are cut into *slots*, as many as the layer's shape says. Each slot adds up its rows in
order, and the slots are added in order: the same bits for any number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.convolution import Axis, Channels, Tiles
from cnntrain.kernels.jit import kernel, parallel_kernel
from cnntrain.kernels.simd import (
    LANES,
    accumulate,
    accumulate_lanes,
    constant,
    lane_of,
    load,
    store,
    store_transposed,
    sum_lanes,
    tile_load,
    tile_store,
)

PARTS = 16  # units of work of `add_slots`; any number gives the same bits


class Division(NamedTuple):
    """How the work is cut into units that own what they write."""

    bundles: int  # of filters, per group
    chunks: int  # of vectors of positions (scheme B); only where a filter has one tap
    slots: int  # of image rows of the batch


@kernel
def row_length(columns):
    """Return how many pixels of a row, margins included, the taps reach."""
    return (columns.count - 1) * columns.stride + (columns.taps - 1) * columns.dilation + 1


@kernel
def output_row(rows, row, r):
    """Return the output row that reads image row `row` through tap r, or -1 if none does."""
    distance = row - rows.offset - r * rows.dilation
    y = distance // rows.stride
    return y if distance >= 0 and y * rows.stride == distance and y < rows.count else -1


# --- A ------------------------------------------------------------------------------------------------------------


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
def tile_by_lanes(partial, at, pixels, x, x_step, delta, d, d_step, count, filters, positions):
    """Multiply `positions` lane vectors from pixels[x] with `filters` from delta[d], along a row."""
    tile = tile_load(partial, at, LANES, len(filters) * LANES, filters, positions)
    for _ in range(count):
        tile = accumulate_lanes(tile, delta, d, LANES, pixels, x, LANES)
        d += d_step
        x += x_step
    tile_store(partial, at, LANES, len(filters) * LANES, tile)


@kernel
def unit_by_lanes(
    unit, image, delta, partial, scratch, blocks, fresh, rows, columns, channels, division, tiles, filters, tall, short
):
    """Do one unit of `by_lanes`: some filters, some rows of the batch."""
    image_width, delta_width = channels.groups * channels.inputs * LANES, channels.groups * channels.outputs * LANES
    contiguous = columns.dilation == 1 and channels.groups == 1
    runs = 1 if contiguous else columns.taps
    length = columns.taps * channels.inputs if contiguous else channels.inputs
    width = len(filters) * LANES
    size = rows.taps * runs * length * width

    slot, bundle = unit % division.slots, unit // division.slots  # bundles of all groups, in order
    group = bundle // division.bundles
    base = (slot * channels.groups * division.bundles + bundle) * size
    for p in range(base, base + fresh * size, LANES):  # without a branch, for which LLVM would compile all of it twice
        store(partial, p, constant(image, 0))
    place = unit * row_length(columns) * image_width
    lines = blocks * rows.input_size
    for line in range(slot * lines // division.slots, (slot + 1) * lines // division.slots):
        source = line * columns.input_size * image_width
        copy_row_between_margins(image, source, scratch, place, columns, image_width)
        for r in range(rows.taps):
            y = output_row(rows, line % rows.input_size, r)
            if y < 0:
                continue
            d = (line // rows.input_size * rows.count + y) * columns.count * delta_width
            d += (group * channels.outputs + bundle % division.bundles * len(filters)) * LANES
            for run in range(runs):
                x = place + run * columns.dilation * image_width + group * channels.inputs * LANES
                at = base + (r * runs + run) * length * width
                step = columns.stride * image_width
                for _ in range(tiles.tall):
                    tile_by_lanes(partial, at, scratch, x, step, delta, d, delta_width, columns.count, filters, tall)
                    at += len(tall) * width
                    x += len(tall) * LANES
                for _ in range(tiles.short):
                    tile_by_lanes(partial, at, scratch, x, step, delta, d, delta_width, columns.count, filters, short)
                    at += len(short) * width
                    x += len(short) * LANES


@parallel_kernel
def by_lanes(image, delta, partial, scratch, blocks, fresh, geometry, filters, tall, short):
    """Scheme A: add to partial[slot, group, bundle, (r, s, c), filter of the bundle, lane].

    Parameters
    ----------
    image, delta : 1-D array, float32 or float64
        In the layout of `kernels.convolution`.
    partial, scratch : 1-D array
        Results, and room for one image row between margins per unit.
    fresh : bool
        The sums begin with zero; else with what partial holds.
    geometry : tuple of (rows, columns, channels, division, tiles)
        Axis, Axis (of the forward pass), Channels, Division and Tiles (how a run of positions is cut), each as a plain
        tuple.
    filters, tall, short : tuple of int
        Only their lengths count: filters of a bundle, positions of a tile.
    """
    rows, columns, channels = Axis(*geometry[0]), Axis(*geometry[1]), Channels(*geometry[2])
    division, tiles = Division(*geometry[3]), Tiles(*geometry[4])
    for index in prange(channels.groups * division.bundles * division.slots):
        unit_by_lanes(
            np.intp(index), image, delta, partial, scratch, blocks, fresh, rows, columns, channels, division, tiles,
            filters, tall, short,
        )  # fmt: skip


# --- B ------------------------------------------------------------------------------------------------------------


@kernel
def lane_stride(size):
    """Return the distance between lanes of a transposed row: room to read past its end, and an odd number of lines.

    A power of two would put all lanes into the same few places of the cache.
    """
    return (size // LANES + 3 | 1) * LANES


@kernel
def transpose_row(image, source, target, at, step, columns, channels, first, width):
    """Transpose `width` channels from `first` of an image row to (lane, x, channel), zeros where taps overhang."""
    total = row_length(columns)
    begin = min(-columns.offset, total)
    end = min(begin + columns.input_size, total)
    # whole vectors of zeros, which reach into the pixels (written after them) and into the room after the row
    zero = constant(image, 0)
    for p in range(0, begin * width, LANES):
        for lane in range(LANES):
            store(target, at + lane * step + p, zero)
    for p in range(end * width, total * width + LANES, LANES):
        for lane in range(LANES):
            store(target, at + lane * step + p, zero)
    # all channels of all pixels lie side by side; some channels of a pixel are a stretch of their own
    stretches, length = (1, (end - begin) * width) if width == channels else (end - begin, width)
    for stretch in range(stretches):
        begin_source = source + (stretch * channels + first) * LANES
        begin_target = at + begin * width + stretch * width
        whole = length // LANES * LANES
        for q in range(0, whole, LANES):
            store_transposed(target, begin_target + q, step, image, begin_source + q * LANES, LANES)
        for q in range(whole, length):
            for lane in range(LANES):
                target[begin_target + lane * step + q] = image[begin_source + q * LANES + lane]


@kernel
def tile_by_positions(partial, at, filter_step, row, x, x_step, lane_step, delta, d, d_step, count, vectors, filters):
    """Multiply `vectors` of 16 positions from row[x] with each lane of `filters` from delta[d], along a row."""
    tile = tile_load(partial, at, LANES, filter_step, vectors, filters)
    for _ in range(count):
        for lane in range(LANES):
            tile = accumulate(tile, row, x + lane * lane_step, LANES, delta, d + lane, LANES)
        x += x_step
        d += d_step
    tile_store(partial, at, LANES, filter_step, tile)


@kernel
def unit_by_positions(
    unit, image, delta, partial, scratch, blocks, fresh, rows, columns, channels, division, tiles, pair, tall, short
):
    """Do one unit of `by_positions`: some filters, some vectors of positions, some rows of the batch."""
    inputs, delta_width = channels.groups * channels.inputs, channels.groups * channels.outputs * LANES
    contiguous = columns.dilation == 1 and channels.groups == 1
    runs = 1 if contiguous else columns.taps
    length = columns.taps * channels.inputs if contiguous else channels.inputs
    vectors = (length + len(pair) * LANES - 1) // (len(pair) * LANES) * len(pair)
    filter_step = rows.taps * runs * vectors * LANES

    slot = unit % division.slots
    chunk = unit // division.slots % division.chunks
    bundle = unit // (division.slots * division.chunks) % division.bundles
    group = unit // (division.slots * division.chunks * division.bundles)
    cuts = tiles.tall + tiles.short
    begin, end = bundle * cuts // division.bundles, (bundle + 1) * cuts // division.bundles
    pairs = vectors // len(pair)
    first = chunk * pairs // division.chunks * len(pair)
    last = (chunk + 1) * pairs // division.chunks * len(pair)
    base = (slot * channels.groups + group) * channels.outputs * filter_step
    k0 = min(begin, tiles.tall) * len(tall) + max(begin - tiles.tall, 0) * len(short)
    k1 = min(end, tiles.tall) * len(tall) + max(end - tiles.tall, 0) * len(short)
    for k in range(k0, k0 + fresh * (k1 - k0)):
        for tap in range(rows.taps * runs):
            for v in range(first, last):
                store(partial, base + k * filter_step + (tap * vectors + v) * LANES, constant(image, 0))

    width = inputs if division.chunks == 1 else min(last * LANES, length) - first * LANES
    lane_step = lane_stride(row_length(columns) * width)
    place = unit * (scratch.size // (channels.groups * division.bundles * division.chunks * division.slots))
    lines = blocks * rows.input_size
    for line in range(slot * lines // division.slots, (slot + 1) * lines // division.slots):
        source = line * columns.input_size * inputs * LANES
        transpose_row(image, source, scratch, place, lane_step, columns, inputs, first * LANES, width)
        for r in range(rows.taps):
            y = output_row(rows, line % rows.input_size, r)
            if y < 0:
                continue
            d = (line // rows.input_size * rows.count + y) * columns.count * delta_width
            d += group * channels.outputs * LANES
            for run in range(runs):
                start = place + run * columns.dilation * inputs + group * channels.inputs
                at = base + (r * runs + run) * vectors * LANES
                for v in range(first, last, len(pair)):
                    x = start + (v - first) * LANES
                    k = k0
                    for t in range(begin, end):
                        here, dk = at + v * LANES + k * filter_step, d + k * LANES
                        if t < tiles.tall:
                            tile_by_positions(
                                partial, here, filter_step, scratch, x, columns.stride * width, lane_step,
                                delta, dk, delta_width, columns.count, pair, tall,
                            )  # fmt: skip
                            k += len(tall)
                        else:
                            tile_by_positions(
                                partial, here, filter_step, scratch, x, columns.stride * width, lane_step,
                                delta, dk, delta_width, columns.count, pair, short,
                            )  # fmt: skip
                            k += len(short)


@parallel_kernel
def by_positions(image, delta, partial, scratch, blocks, fresh, geometry, pair, tall, short):
    """Scheme B: add to partial[slot, group, filter, r, (s, c) filled up to whole vectors].

    Parameters as those of `by_lanes`, but scratch has room for one transposed row per unit, the tiles say how the
    filters are cut, and of pair, tall and short the lengths count: vectors of positions in a tile, and filters.
    """
    rows, columns, channels = Axis(*geometry[0]), Axis(*geometry[1]), Channels(*geometry[2])
    division, tiles = Division(*geometry[3]), Tiles(*geometry[4])
    for index in prange(channels.groups * division.bundles * division.chunks * division.slots):
        unit_by_positions(
            np.intp(index), image, delta, partial, scratch, blocks, fresh, rows, columns, channels, division, tiles,
            pair, tall, short,
        )  # fmt: skip


# --- the rest -----------------------------------------------------------------------------------------------------


@parallel_kernel
def add_slots(partial, slots, slot_size, lanes, canonical, gradient):
    """Add the slots up, in order, and write gradient[canonical[p]] = sum of partial[slot, p].

    With `lanes` (scheme A) each p stands for a lane vector, whose lanes are added too. canonical[p] is -1 for places
    that only fill up vectors.
    """
    for index in prange(PARTS):
        part = np.intp(index)
        vectors = slot_size // LANES
        for v in range(part * vectors // PARTS, (part + 1) * vectors // PARTS):
            total = load(partial, v * LANES)
            for slot in range(1, slots):
                total = total + load(partial, slot * slot_size + v * LANES)
            if lanes:
                place = canonical[np.uintp(v)]
                if place >= 0:
                    gradient[np.uintp(place)] = sum_lanes(total)
            else:
                for p in range(LANES):
                    place = canonical[np.uintp(v * LANES + p)]
                    if place >= 0:
                        gradient[np.uintp(place)] = lane_of(total, p)


@kernel
def sum_channels(delta, partial, at, begin, end, channels):
    """Add up pixels `begin` to `end` of the delta, channel by channel; four at a time hide the additions' latency."""
    for c in range(0, channels, 4):
        last = channels - 1  # the sums of a channel beyond the last are those of the last, once more
        c1, c2, c3 = min(c + 1, last), min(c + 2, last), min(c + 3, last)
        a = constant(delta, 0)
        b, e, f = a, a, a
        for p in range(begin * channels, end * channels, channels):
            a = a + load(delta, (p + c) * LANES)
            b = b + load(delta, (p + c1) * LANES)
            e = e + load(delta, (p + c2) * LANES)
            f = f + load(delta, (p + c3) * LANES)
        partial[np.uintp(at + c)] = sum_lanes(a)
        partial[np.uintp(at + c1)] = sum_lanes(b)
        partial[np.uintp(at + c2)] = sum_lanes(e)
        partial[np.uintp(at + c3)] = sum_lanes(f)


@parallel_kernel
def bias_gradient(delta, partial, gradient, pixels, slots):
    """gradient[k] = sum of the delta over all `pixels` (of all blocks) and lanes; partial is (slot, k)."""
    if slots == 1:  # without other threads
        sum_channels(delta, gradient, 0, 0, pixels, gradient.size)
        return
    for index in prange(slots):
        slot = np.intp(index)
        begin, end = slot * pixels // slots, (slot + 1) * pixels // slots
        sum_channels(delta, partial, slot * gradient.size, begin, end, gradient.size)
    for k in range(gradient.size):
        total = partial[np.uintp(k)]
        for slot in range(1, slots):
            total += partial[np.uintp(slot * gradient.size + k)]
        gradient[np.uintp(k)] = total
