"""Backward to the weights of 3x3 convolutions by Winograd's algorithm; letters and matrices as in `kernels.winograd`.

The outputs Y are linear in the filter g, so the gradient is the transposed map of the delta:

    dL/dg = Gt [ sum over patches and images of (A delta At) * (Bt d B) ] G

For each place of the patch the sum is a product of matrices, over patches and lanes. As in scheme B of
`kernels.weight_gradient`, 16 channels make a vector: the patches are transposed to (lane, channel), and each lane of
the transformed delta is a number to broadcast.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.jit import kernel, parallel_kernel
from cnntrain.kernels.simd import (
    LANES,
    accumulate,
    constant,
    lane_of,
    load,
    store,
    store_transposed,
    tile_load,
    tile_store,
)
from cnntrain.kernels.winograd import PLACES, pixel, place_size, transform_patch_anywhere


@kernel
def delta_part(a, b):
    """Multiply A with a column."""
    return a, a + b, a - b, constant(a, 0) - b


@kernel
def gradient_part(a, b, c, d, half):
    """Multiply Gt with a column."""
    outer, inner = (b + c) * half, (b - c) * half
    return a + outer, inner, outer + d


@kernel
def store_delta_row(scratch, at, step, a, b):
    """Multiply a row of A delta with At and write it."""
    e, f, g, h = delta_part(a, b)
    store(scratch, at, e)
    store(scratch, at + step, f)
    store(scratch, at + 2 * step, g)
    store(scratch, at + 3 * step, h)


@kernel
def transform_delta(delta, b, i, x, rows, columns, filters, first, last, scratch, at, place):
    """Write A delta At of filters `first` to `last` of the square at output row i, column x."""
    below, right = i + 1 < rows.count, x + 1 < columns.count
    width = filters * LANES
    source = ((b * rows.count + i) * columns.count + x) * width
    step = columns.count * width
    for k in range(first, last):
        d = source + k * LANES
        a0, b0, c0, d0 = delta_part(load(delta, d), pixel(delta, d + step, below, (0,)))
        a1, b1, c1, d1 = delta_part(
            pixel(delta, d + width, right, (0,)), pixel(delta, d + step + width, below and right, (0,))
        )
        to = at + (k - first) * LANES
        store_delta_row(scratch, to, place, a0, a1)
        store_delta_row(scratch, to + 4 * place, place, b0, b1)
        store_delta_row(scratch, to + 8 * place, place, c0, c1)
        store_delta_row(scratch, to + 12 * place, place, d0, d1)


@kernel
def transpose_patches(image, b, row, column, rows, columns, inputs, vectors, scratch, at, place, room):
    """Write Bt d B of one patch to scratch[at + p * place:] as (lane, channel); `room` is where channels pass through.

    Channels beyond the last, which fill up a vector, are those of other patches: their products are not used.
    """
    for v in range(vectors):
        last = min((v + 1) * LANES, inputs)
        transform_patch_anywhere(
            image, b, row, column, rows, columns, inputs, v * LANES, last, scratch, room, (LANES + 1) * LANES
        )
        for p in range(PLACES):
            store_transposed(
                scratch, at + p * place + v * LANES, vectors * LANES, scratch, room + p * (LANES + 1) * LANES, LANES
            )


@kernel
def multiply_by_lanes(partial, at, filter_step, scratch, x, x_step, d, d_step, count, vectors, filters):
    """Add `count` patches, lane by lane: `vectors` of 16 channels from x, times `filters` from d."""
    tile = tile_load(partial, at, LANES, filter_step, vectors, filters)
    for _ in range(count):
        for lane in range(LANES):
            tile = accumulate(tile, scratch, x + lane * x_step, LANES, scratch, d + lane, LANES)
        x += LANES * x_step
        d += d_step
    tile_store(partial, at, LANES, filter_step, tile)


@kernel
def unit_3x3(
    unit, image, delta, partial, scratch, begin, blocks, rows, columns, inputs, outputs, patches, division, tiles,
    pair, tall, short,
):  # fmt: skip
    """Do one unit of `weights_3x3`: some filters, some rows of patches of the batch."""
    slot, bundle = unit % division.slots, unit // division.slots
    vectors = (inputs + len(pair) * LANES - 1) // (len(pair) * LANES) * len(pair)
    cuts = tiles.tall + tiles.short
    cut0, cut1 = bundle * cuts // division.bundles, (bundle + 1) * cuts // division.bundles
    k0 = cut0 * len(tall) - max(cut0 - tiles.tall, 0)
    k1 = cut1 * len(tall) - max(cut1 - tiles.tall, 0)
    channels = vectors * LANES
    base = slot * PLACES * outputs * channels
    for p in range(PLACES):
        for at in range(base + (p * outputs + k0) * channels, base + (p * outputs + k1) * channels, LANES):
            store(partial, at, constant(partial, 0))

    patch_place = place_size(patches.stretch, channels)
    delta_place = place_size(patches.stretch, k1 - k0)
    room = begin + PLACES * patch_place
    deltas = room + PLACES * (LANES + 1) * LANES
    stretches = (patches.columns + patches.stretch - 1) // patches.stretch
    lines = blocks * patches.rows * stretches
    for line in range(slot * lines // division.slots, (slot + 1) * lines // division.slots):
        t0 = line % stretches * patches.stretch
        t1 = min(t0 + patches.stretch, patches.columns)
        i = line // stretches % patches.rows * 2
        b = line // (stretches * patches.rows)
        for t in range(t1 - t0):
            x = 2 * (t0 + t)
            transpose_patches(
                image, b, i + rows.offset, x + columns.offset, rows, columns, inputs, vectors,
                scratch, begin + t * channels * LANES, patch_place, room,
            )  # fmt: skip
            transform_delta(
                delta, b, i, x, rows, columns, outputs, k0, k1, scratch, deltas + t * (k1 - k0) * LANES, delta_place
            )
        for p in range(PLACES):
            for v in range(0, vectors, len(pair)):
                k = k0
                for n in range(cut0, cut1):
                    at = base + (p * outputs + k) * channels + v * LANES
                    x = begin + p * patch_place + v * LANES
                    d = deltas + p * delta_place + (k - k0) * LANES
                    if n < tiles.tall:
                        multiply_by_lanes(
                            partial, at, channels, scratch, x, channels, d, (k1 - k0) * LANES, t1 - t0, pair, tall
                        )
                        k += len(tall)
                    else:
                        multiply_by_lanes(
                            partial, at, channels, scratch, x, channels, d, (k1 - k0) * LANES, t1 - t0, pair, short
                        )
                        k += len(short)


@parallel_kernel
def weights_3x3(
    image, delta, partial, scratch, workers, blocks, rows, columns, inputs, outputs, patches, division, tiles,
    pair, tall, short,
):  # fmt: skip
    """Write partial[slot, p, filter, channel]: the products of each place, summed over a slot's patches and lanes.

    Parameters
    ----------
    image, delta : 1-D array, float32 or float64
    partial : 1-D array
    scratch : 1-D array
        Room for a stretch of patches and deltas per worker.
    workers : int
        Any number gives the same bits.
    rows, columns : Axis
        Of the forward pass.
    inputs, outputs : int
        Channels.
    patches : Patches
    division : Division
    tiles : Tiles
        How the filters are cut.
    pair, tall, short : tuple of int
        Only their lengths count: vectors of channels in a register tile, and filters.
    """
    units = division.bundles * division.slots
    for index in prange(workers):
        worker = np.intp(index)
        begin = worker * (scratch.size // workers)
        for unit in range(worker * units // workers, (worker + 1) * units // workers):
            unit_3x3(
                unit, image, delta, partial, scratch, begin, blocks, rows, columns, inputs, outputs, patches, division,
                tiles, pair, tall, short,
            )  # fmt: skip


@kernel
def sum_place(partial, at, slots, slot_size):
    """Add one vector of all slots up, in order."""
    total = load(partial, at)
    for slot in range(1, slots):
        total = total + load(partial, at + slot * slot_size)
    return total


@kernel
def sum_column(partial, at, step, slots, slot_size, half):
    """Multiply Gt with the sums of a column of places."""
    return gradient_part(
        sum_place(partial, at, slots, slot_size), sum_place(partial, at + step, slots, slot_size),
        sum_place(partial, at + 2 * step, slots, slot_size), sum_place(partial, at + 3 * step, slots, slot_size), half,
    )  # fmt: skip


@kernel
def scatter(gradient, canonical, at, step, count, a, b, c):
    """Write the first `count` lanes of a row of three taps to their places in the gradient."""
    for lane in range(count):
        gradient[canonical[at + lane]] = lane_of(a, lane)
        gradient[canonical[at + step + lane]] = lane_of(b, lane)
        gradient[canonical[at + 2 * step + lane]] = lane_of(c, lane)


@parallel_kernel
def gradient_3x3(partial, slots, canonical, gradient, inputs, outputs, channels):
    """Write gradient[canonical[r, s, k, c]] = Gt (sum of the slots) G; partial has `channels` channels per filter."""
    place, tap = outputs * channels, outputs * inputs
    size = PLACES * place
    for index in prange(outputs):
        k = np.intp(index)
        for c in range(0, inputs, LANES):
            half = constant(partial, 0.5)
            at, to, count = k * channels + c, k * inputs + c, min(inputs - c, LANES)
            a0, b0, c0 = sum_column(partial, at, 4 * place, slots, size, half)
            a1, b1, c1 = sum_column(partial, at + place, 4 * place, slots, size, half)
            a2, b2, c2 = sum_column(partial, at + 2 * place, 4 * place, slots, size, half)
            a3, b3, c3 = sum_column(partial, at + 3 * place, 4 * place, slots, size, half)
            e, f, g = gradient_part(a0, a1, a2, a3, half)
            scatter(gradient, canonical, to, tap, count, e, f, g)
            e, f, g = gradient_part(b0, b1, b2, b3, half)
            scatter(gradient, canonical, to + 3 * tap, tap, count, e, f, g)
            e, f, g = gradient_part(c0, c1, c2, c3, half)
            scatter(gradient, canonical, to + 6 * tap, tap, count, e, f, g)
