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

from cnntrain.kernels.convolution import Axis, Channels, Tiles, end_tap, first_tap
from cnntrain.kernels.jit import kernel, parallel_kernel
from cnntrain.kernels.pooling import Pooled, unpool
from cnntrain.kernels.simd import (
    LANES,
    accumulate,
    accumulate_lanes,
    constant,
    lane_of,
    load,
    narrow_tile_load,
    store,
    store_transposed,
    sum_lanes,
    tile_load,
    tile_store,
    tile_zero,
)

PARTS = 16  # units of work of `add_slots`; any number gives the same bits


class Division(NamedTuple):
    """How the work is cut into units that own what they write."""

    bundles: int  # of filters, per group
    chunks: int  # of vectors of positions (scheme B); only where a filter has one tap
    slots: int  # of image rows of the batch
    stretch: int  # of pixels of a row that meet all filters before the next do (scheme B)
    filled: int  # numbers that a run of positions takes in the results (scheme B)


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


@kernel
def add_sums(delta, d, step, count, channels, sums, at):
    """sums[at + c] += the sum of channel c over `count` pixels and all lanes; pixels lie `step` apart from d on."""
    for c in range(channels):
        total = constant(delta, 0)
        for x in range(count):
            total = total + load(delta, d + x * step + c * LANES)
        sums[np.uintp(at + c)] += sum_lanes(total)


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
                unpool(delta, mask, at, delta_width, pooled.columns, scratch, routed, row_size, width, high, wide)
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
def tile_by_positions(
    partial, at, filter_step, row, x, x_step, lane_step, delta, d, d_step, count, at_once, vectors, filters
):
    """Multiply `vectors` of 16 positions from row[x] with each lane of `filters` from delta[d], along a row."""
    if at_once:
        tile = tile_zero(partial, vectors, filters)
    else:
        tile = tile_load(partial, at, LANES, filter_step, vectors, filters)
    for _ in range(count):
        for lane in range(LANES):
            tile = accumulate(tile, row, x + lane * lane_step, LANES, delta, d + lane, LANES)
        x += x_step
        d += d_step
    tile_store(partial, at, LANES, filter_step, tile)


@kernel
def unit_by_positions(
    unit, image, delta, partial, sums, scratch, blocks, fresh, rows, columns, channels, division, tiles, pair, tall,
    short,
):  # fmt: skip
    """Do one unit of `by_positions`: some filters, some vectors of positions, some rows of the batch."""
    inputs, delta_width = channels.groups * channels.inputs, channels.groups * channels.outputs * LANES
    contiguous = columns.dilation == 1 and channels.groups == 1
    runs = 1 if contiguous else columns.taps
    length = columns.taps * channels.inputs if contiguous else channels.inputs
    pairs = (length + len(pair) * LANES - 1) // (len(pair) * LANES)
    filled = division.filled
    filter_step = rows.taps * runs * filled

    slot = unit % division.slots
    chunk = unit // division.slots % division.chunks
    bundle = unit // (division.slots * division.chunks) % division.bundles
    group = unit // (division.slots * division.chunks * division.bundles)
    cuts = tiles.tall + tiles.short
    begin, end = bundle * cuts // division.bundles, (bundle + 1) * cuts // division.bundles
    first = chunk * pairs // division.chunks * len(pair)
    last = (chunk + 1) * pairs // division.chunks * len(pair)
    base = (slot * channels.groups + group) * channels.outputs * filter_step
    k0 = min(begin, tiles.tall) * len(tall) + max(begin - tiles.tall, 0) * len(short)
    k1 = min(end, tiles.tall) * len(tall) + max(end - tiles.tall, 0) * len(short)
    # where a single stretch makes a whole sum, a tile begins with zero: nothing is read, and the last vectors may
    # overlap those before, even of another unit, which computes the same sums in the same order
    lines = blocks * rows.input_size
    at_once = fresh and division.slots * lines * rows.taps * runs == 1 and columns.count <= division.stretch
    for k in range(k0, k0 if at_once else k0 + fresh * (k1 - k0)):
        for tap in range(rows.taps * runs):
            for p in range(first * LANES, last * LANES, LANES):
                store(partial, base + k * filter_step + tap * filled + p, constant(image, 0))
    summed = min(sums.size, 1) if chunk == 0 else 0
    sums_at = (slot * channels.groups + group) * channels.outputs
    for k in range(sums_at + k0, sums_at + k0 + fresh * summed * (k1 - k0)):
        sums[np.uintp(k)] = 0

    rightmost = filled - len(pair) * LANES  # where the last vectors begin
    origin = 0 if division.chunks == 1 else min(first * LANES, rightmost)
    width = inputs if division.chunks == 1 else min(last * LANES, length) - origin
    lane_step = lane_stride(row_length(columns) * width)
    place = unit * (scratch.size // (channels.groups * division.bundles * division.chunks * division.slots))
    for line in range(slot * lines // division.slots, (slot + 1) * lines // division.slots):
        source = line * columns.input_size * inputs * LANES
        transpose_row(image, source, scratch, place, lane_step, columns, inputs, origin, width)
        for r in range(rows.taps):
            y = output_row(rows, line % rows.input_size, r)
            if y < 0:
                continue
            d = (line // rows.input_size * rows.count + y) * columns.count * delta_width
            d += group * channels.outputs * LANES
            once = summed if r == first_tap(rows, y * rows.stride + rows.offset) else 0
            for run in range(runs):
                start = place + run * columns.dilation * inputs + group * channels.inputs
                at = base + (r * runs + run) * filled
                # a stretch of the row stays in the L1 cache while all filters and positions pass
                for j in range(0, columns.count, division.stretch):
                    count = min(division.stretch, columns.count - j)
                    for _ in range(once if run == 0 else 0):
                        dk = d + j * delta_width + k0 * LANES
                        add_sums(delta, dk, delta_width, count, k1 - k0, sums, sums_at + k0)
                    for v in range(first, last, len(pair)):
                        p = min(v * LANES, rightmost)
                        x = start + j * columns.stride * width + p - origin
                        k = k0
                        for t in range(begin, end):
                            here, dk = at + p + k * filter_step, d + j * delta_width + k * LANES
                            if t < tiles.tall:
                                tile_by_positions(
                                    partial, here, filter_step, scratch, x, columns.stride * width, lane_step,
                                    delta, dk, delta_width, count, at_once, pair, tall,
                                )  # fmt: skip
                                k += len(tall)
                            else:
                                tile_by_positions(
                                    partial, here, filter_step, scratch, x, columns.stride * width, lane_step,
                                    delta, dk, delta_width, count, at_once, pair, short,
                                )  # fmt: skip
                                k += len(short)


@parallel_kernel
def by_positions(image, delta, partial, sums, scratch, blocks, fresh, geometry, pair, tall, short):
    """Scheme B: add to partial[slot, group, filter, r, (s, c) filled up].

    Runs are filled up to whole tiles; where a stretch is all there is, the last tile may begin sooner instead.
    Rows of the delta whose taps all lie on the padding are not visited, and not added to sums. Parameters as those of
    `by_lanes`, but scratch has room for one transposed row per unit, the tiles say how the filters are cut, and of
    pair, tall and short the lengths count: vectors of positions in a tile, and filters.
    """
    rows, columns, channels = Axis(*geometry[0]), Axis(*geometry[1]), Channels(*geometry[2])
    division, tiles = Division(*geometry[3]), Tiles(*geometry[4])
    for index in prange(channels.groups * division.bundles * division.chunks * division.slots):
        unit_by_positions(
            np.intp(index), image, delta, partial, sums, scratch, blocks, fresh, rows, columns, channels, division,
            tiles, pair, tall, short,
        )  # fmt: skip


# --- the rest -----------------------------------------------------------------------------------------------------


@kernel
def add_rows(sums, slots, total):
    """total[k] = sum of sums[slot, k], in order."""
    for k in range(total.size):
        result = sums[np.uintp(k)]
        for slot in range(1, slots):
            result += sums[np.uintp(slot * total.size + k)]
        total[np.uintp(k)] = result


@parallel_kernel
def add_slots(partial, sums, slots, slot_size, lanes, canonical, gradient, bias):
    """Add the slots up, in order: gradient[canonical[p]] = sum of partial[slot, p], bias[k] = sum of sums[slot, k].

    With `lanes` (scheme A) each p stands for a lane vector, whose lanes are added too. canonical[p] is -1 for places
    that only fill up vectors. bias may be empty.
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
    add_rows(sums, slots, bias)


@parallel_kernel
def bias_gradient(delta, sums, gradient, pixels, slots):
    """gradient[k] = sum of the delta over all `pixels` (of all blocks) and lanes; sums is (slot, k)."""
    width = gradient.size * LANES
    if slots == 1:  # without other threads
        for k in range(gradient.size):
            gradient[np.uintp(k)] = 0
        add_sums(delta, 0, width, pixels, gradient.size, gradient, 0)
        return
    for index in prange(slots):
        slot = np.intp(index)
        begin, end = slot * pixels // slots, (slot + 1) * pixels // slots
        for k in range(slot * gradient.size, (slot + 1) * gradient.size):
            sums[np.uintp(k)] = 0
        add_sums(delta, begin * width, width, end - begin, gradient.size, sums, slot * gradient.size)
    add_rows(sums, slots, gradient)
