"""Backward to the weights by Winograd's algorithm; letters and matrices as in `kernels.winograd`.

The outputs Y are linear in the filter g, so the gradient is the transposed map of the delta:

    dL/dg = Gt [ sum over patches and images of (A delta At) * (Bt d B) ] G

For each place of the patch the sum is a product of matrices, over patches and lanes. As in scheme B of
`kernels.weight_gradient_positions`, one side is transposed, so that 16 of its channels make a vector, and each lane of
the other is a number to broadcast. Here that is the delta, because its squares are smaller than patches: (lane,
filter).
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.geometry import Axis, Tiles
from cnntrain.kernels.lanes import (
    accumulate,
    constant,
    fma,
    lane_of,
    load,
    store,
    store_transposed,
    tile_load,
    tile_store,
)
from cnntrain.kernels.weight_gradient import Division
from cnntrain.kernels.winograd import PLACES, Patches, corner_of, place_size, store_six, transform_patches
from cnntrain.shape import LANES


@kernel
def delta_part(a, b, c, d, square):
    """Multiply A with a column; where squares have two outputs, c and d are not read."""
    half, minus_two = constant(a, 0.5), constant(a, -2)
    if len(square) == 2:
        return a, a + b, a - b, fma(half, b, a), fma(minus_two, b, a), b
    even, odd = a + c, b + d
    return (
        a, even + odd, even - odd, fma(half, fma(half, fma(half, d, c), b), a),
        fma(minus_two, fma(minus_two, fma(minus_two, d, c), b), a), d,
    )  # fmt: skip


@kernel
def gradient_part(a, b, c, d, e, f, square):
    """Multiply Gt with a column; where filters have three taps, the last two results are of no use."""
    b, c = b / constant(a, 3), c / constant(a, -3)
    d, e = d / constant(a, -15), e / constant(a, 15)
    even, odd = b + c, b - c
    y0 = a + even + fma(constant(a, 16), d, e)
    y1 = odd + fma(constant(a, 8), d, constant(a, -2) * e)
    y2 = even + constant(a, 4) * (d + e)
    y3 = odd + fma(constant(a, 2), d, constant(a, -8) * e)
    y4 = even + fma(constant(a, 16), e, d)
    if len(square) == 4:
        return y0, y1, y2 + f, y3, y4
    return y0, y1, y2, y3, y4 + f


@kernel
def delta_column(scratch, at, step, square):
    """Multiply A with a column of a square of the delta."""
    a, b = load(scratch, at), load(scratch, at + step)
    if len(square) == 2:
        return delta_part(a, b, a, a, square)
    return delta_part(a, b, load(scratch, at + 2 * step), load(scratch, at + 3 * step), square)


@kernel
def transform_square(scratch, room, at, step, place, square):
    """Write A delta At of a square that is kept as (row, column, lane, filter), for 16 filters.

    Place p of the first lane is written to scratch[at + p * place], the other lanes `step` apart.
    """
    pixel_size = LANES * LANES
    line = len(square) * pixel_size
    for lane in range(LANES):
        x = room + lane * LANES
        x0 = delta_column(scratch, x, line, square)
        x1 = delta_column(scratch, x + pixel_size, line, square)
        x2 = x3 = x1
        if len(square) == 4:
            x2 = delta_column(scratch, x + 2 * pixel_size, line, square)
            x3 = delta_column(scratch, x + 3 * pixel_size, line, square)
        to = at + lane * step
        store_six(scratch, to, place, delta_part(x0[0], x1[0], x2[0], x3[0], square))
        store_six(scratch, to + 6 * place, place, delta_part(x0[1], x1[1], x2[1], x3[1], square))
        store_six(scratch, to + 12 * place, place, delta_part(x0[2], x1[2], x2[2], x3[2], square))
        store_six(scratch, to + 18 * place, place, delta_part(x0[3], x1[3], x2[3], x3[3], square))
        store_six(scratch, to + 24 * place, place, delta_part(x0[4], x1[4], x2[4], x3[4], square))
        store_six(scratch, to + 30 * place, place, delta_part(x0[5], x1[5], x2[5], x3[5], square))


@kernel
def transform_delta(delta, n, rows, columns, patches, filters, vectors, scratch, at, place, room, square):
    """Write A delta At of square n to scratch[at + p * place:] as (lane, filter).

    The transposed delta passes through scratch[room:].
    The last vectors begin at the last filter but 15, wherever that is.
    """
    b, i, j = corner_of(n, patches, square)
    width = filters * LANES
    for v in range(vectors):
        k = min(v * LANES, filters - LANES)
        for r in range(len(square)):
            for s in range(len(square)):
                to = room + (r * len(square) + s) * LANES * LANES
                if i + r < rows.count and j + s < columns.count:
                    source = ((b * rows.count + i + r) * columns.count + j + s) * width + k * LANES
                    store_transposed(scratch, to, LANES, delta, source, LANES)
                else:
                    for lane in range(LANES):
                        store(scratch, to + lane * LANES, constant(scratch, 0))
        transform_square(scratch, room, at + v * LANES, vectors * LANES, place, square)


@kernel
def multiply_by_lanes(partial, at, step, scratch, d, d_step, x, x_step, count, vectors, channels):
    """Add `count` patches, lane by lane: `vectors` of 16 filters from d, times numbers of `channels` from x."""
    tile = tile_load(partial, at, LANES, step, vectors, channels)
    for _ in range(count):
        for lane in range(LANES):
            tile = accumulate(tile, scratch, d + lane * d_step, LANES, scratch, x + lane, LANES)
        d += LANES * d_step
        x += x_step
    tile_store(partial, at, LANES, step, tile)


@kernel
def sum_unit(
    unit, image, delta, partial, scratch, begin, blocks, fresh, rows, columns, inputs, outputs, patches, division,
    tiles, square, pair, tall, short,
):  # fmt: skip
    """Do one unit of `weights_by_patches`: some channels, some patches of the batch."""
    slot, bundle = unit % division.slots, unit // division.slots
    vectors = (outputs + len(pair) * LANES - 1) // (len(pair) * LANES) * len(pair)
    cuts = tiles.tall + tiles.short
    cut0, cut1 = bundle * cuts // division.bundles, (bundle + 1) * cuts // division.bundles
    c0 = cut0 * len(tall) - max(cut0 - tiles.tall, 0)
    c1 = cut1 * len(tall) - max(cut1 - tiles.tall, 0)
    filled = vectors * LANES
    base = slot * PLACES * inputs * filled
    for p in range(fresh * PLACES):
        for at in range(base + (p * inputs + c0) * filled, base + (p * inputs + c1) * filled, LANES):
            store(partial, at, constant(partial, 0))

    patch_place = place_size(patches.stretch, c1 - c0)
    delta_place = place_size(patches.stretch, filled)
    deltas = begin + PLACES * patch_place
    room = deltas + PLACES * delta_place
    total = blocks * patches.rows * patches.columns
    end = (slot + 1) * total // division.slots
    for first in range(slot * total // division.slots, end, patches.stretch):
        last = min(first + patches.stretch, end)
        transform_patches(
            image, first, last, rows, columns, patches, inputs, c0, c1, scratch, begin, patch_place, room, square
        )
        for n in range(first, last):
            transform_delta(
                delta, n, rows, columns, patches, outputs, vectors,
                scratch, deltas + (n - first) * filled * LANES, delta_place, room, square,
            )  # fmt: skip
        for p in range(PLACES):
            for v in range(0, vectors, len(pair)):
                c = c0
                for cut in range(cut0, cut1):
                    at = base + (p * inputs + c) * filled + v * LANES
                    d = deltas + p * delta_place + v * LANES
                    x = begin + p * patch_place + (c - c0) * LANES
                    x_step = (c1 - c0) * LANES
                    if cut < tiles.tall:
                        multiply_by_lanes(partial, at, filled, scratch, d, filled, x, x_step, last - first, pair, tall)
                        c += len(tall)
                    else:
                        multiply_by_lanes(partial, at, filled, scratch, d, filled, x, x_step, last - first, pair, short)
                        c += len(short)


@parallel_kernel
def weights_by_patches(
    image, delta, partial, scratch, workers, blocks, fresh, inputs, outputs, geometry, square, pair, tall, short
):  # fmt: skip
    """Add to partial[slot, p, channel, filter] the products of each place, summed over a slot's patches and lanes.

    Parameters
    ----------
    image, delta : 1-D array, float32 or float64
    partial : 1-D array
    scratch : 1-D array
        Room for a stretch of patches and deltas per worker.
    workers : int
        Any number gives the same bits.
    fresh : bool
        The sums begin with zero; else with what partial holds.
    inputs, outputs : int
        Channels; at least 16 outputs.
    geometry : tuple of (rows, columns, patches, division, tiles)
        Axis, Axis (of the forward pass), Patches, Division and Tiles (how the channels are cut), each as a plain tuple.
    square, pair, tall, short : tuple of int
        Only their lengths count: outputs of a square's side; vectors of filters in a register tile, and channels.
    """
    rows, columns, patches = Axis(*geometry[0]), Axis(*geometry[1]), Patches(*geometry[2])
    division, tiles = Division(*geometry[3]), Tiles(*geometry[4])
    units = division.bundles * division.slots
    for index in prange(workers):
        worker = np.intp(index)
        begin = worker * (scratch.size // workers)
        for unit in range(worker * units // workers, (worker + 1) * units // workers):
            sum_unit(
                unit, image, delta, partial, scratch, begin, blocks, fresh, rows, columns, inputs, outputs, patches,
                division, tiles, square, pair, tall, short,
            )  # fmt: skip


@kernel
def sum_place(partial, at, slots, slot_size):
    """Add one vector of all slots up, in order."""
    total = load(partial, at)
    for slot in range(1, slots):
        total = total + load(partial, at + slot * slot_size)
    return total


@kernel
def sum_column(partial, at, step, slots, slot_size, square):
    """Multiply Gt with the sums of a column of places."""
    return gradient_part(
        sum_place(partial, at, slots, slot_size), sum_place(partial, at + step, slots, slot_size),
        sum_place(partial, at + 2 * step, slots, slot_size), sum_place(partial, at + 3 * step, slots, slot_size),
        sum_place(partial, at + 4 * step, slots, slot_size), sum_place(partial, at + 5 * step, slots, slot_size),
        square,
    )  # fmt: skip


@kernel
def scatter(gradient, canonical, at, step, row, square):
    """Write a row of taps of 16 filters to their places in the gradient."""
    for lane in range(LANES):
        gradient[canonical[at + lane]] = lane_of(row[0], lane)
        gradient[canonical[at + step + lane]] = lane_of(row[1], lane)
        gradient[canonical[at + 2 * step + lane]] = lane_of(row[2], lane)
        if len(square) == 2:
            gradient[canonical[at + 3 * step + lane]] = lane_of(row[3], lane)
            gradient[canonical[at + 4 * step + lane]] = lane_of(row[4], lane)


@parallel_kernel
def gradient_of_places(partial, slots, canonical, gradient, inputs, outputs, filled, square):
    """Write gradient[canonical[r, s, c, k]] = Gt (sum of the slots) G; partial has `filled` filters per channel."""
    place, tap = inputs * filled, inputs * outputs
    size = PLACES * place
    taps = 7 - len(square)
    for index in prange(inputs):
        c = np.intp(index)
        for v in range(0, outputs, LANES):
            at, to = c * filled + v, c * outputs + min(v, outputs - LANES)
            x0 = sum_column(partial, at, 6 * place, slots, size, square)
            x1 = sum_column(partial, at + place, 6 * place, slots, size, square)
            x2 = sum_column(partial, at + 2 * place, 6 * place, slots, size, square)
            x3 = sum_column(partial, at + 3 * place, 6 * place, slots, size, square)
            x4 = sum_column(partial, at + 4 * place, 6 * place, slots, size, square)
            x5 = sum_column(partial, at + 5 * place, 6 * place, slots, size, square)
            for r in range(taps):
                row = gradient_part(x0[r], x1[r], x2[r], x3[r], x4[r], x5[r], square)
                scatter(gradient, canonical, to + r * taps * tap, tap, row, square)
