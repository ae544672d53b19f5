"""Backward to the weights: a valid correlation of the input with the delta, summed over the batch.

    grad_weight[k, c, r, s] = sum over images, y, x of
        delta[k, y, x] * image[c, y * stride + r * dilation - padding, x * stride + s * dilation - padding]

Both schemes read one row of the image (copied between zero margins where taps overhang) and one row of the delta at a
time. A *position* is a pair (s, c); the positions of a tap row lie side by side in memory. The accumulators of a tile
stay in registers along a row.

A, by lanes: tile = filters x positions of lane vectors, lane times lane; lanes are added once, at the end.
   For few filters, of which a vector of 16 would be mostly empty.
B, by filters: the delta's row is transposed to (x, lane, filter); tile = vectors of 16 filters x positions; each lane
   of the image is a number to broadcast. The inner loop is that of the forward pass, and no lanes are left to add.

The rows of the batch are cut into *slots*, as many as the layer's shape says. Each slot adds up its rows in order, and
the slots are added in order: the same bits for any number of threads.
The bias is the weight of an input that is always one: the position after the last.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.jit import kernel, parallel_kernel
from cnntrain.kernels.simd import (
    LANES,
    accumulate,
    accumulate_lanes,
    constant,
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
    chunks: int  # of positions
    slots: int  # of rows of the batch


@kernel
def row_length(columns):
    """Return how many pixels of a row (with its margins) the taps reach."""
    return (columns.count - 1) * columns.stride + (columns.taps - 1) * columns.dilation + 1


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
def transpose_row(delta, source, delta_width, count, filters, target, at, vectors):
    """Write the delta's row as (x, lane, filter): target[at + (x * 16 + lane) * vectors * 16 + filter]."""
    width = vectors * LANES
    for x in range(count):
        for v in range(vectors):
            start = source + x * delta_width + v * LANES * LANES
            place = at + x * LANES * width + v * LANES
            if filters >= (v + 1) * LANES:
                store_transposed(target, place, width, delta, start, LANES)
            else:  # the last vector of filters, not full
                for lane in range(LANES):
                    store(target, place + lane * width, constant(delta, 0))
                for k in range(filters - v * LANES):
                    for lane in range(LANES):
                        target[place + lane * width + k] = delta[start + k * LANES + lane]


@kernel
def tile_by_lanes(partial, at, pixels, x, x_step, delta, d, d_step, count, filters, positions):
    """Scheme A for one tile: `positions` lane vectors from pixels[x] times `filters` from delta[d], along a row."""
    tile = tile_load(partial, at, LANES, len(filters) * LANES, filters, positions)
    for _ in range(count):
        tile = accumulate_lanes(tile, delta, d, LANES, pixels, x, LANES)
        d += d_step
        x += x_step
    tile_store(partial, at, LANES, len(filters) * LANES, tile)


@kernel
def tile_by_filters(partial, at, pixels, x, x_step, transposed, d, count, vectors, positions):
    """Scheme B for one tile: each lane of `positions` lane vectors from pixels[x] times vectors of filters."""
    tile = tile_load(partial, at, LANES, len(vectors) * LANES, vectors, positions)
    for _ in range(count):
        for lane in range(LANES):
            tile = accumulate(tile, transposed, d, LANES, pixels, x + lane, LANES)
            d += len(vectors) * LANES
        x += x_step
    tile_store(partial, at, LANES, len(vectors) * LANES, tile)


@kernel
def add_bias(partial, at, delta, d, vectors, step, count):
    """Add `count` groups of `vectors` vectors of the delta, `step` apart, to the position of the bias."""
    for v in range(vectors):
        total = load(partial, at + v * LANES)
        for i in range(count):
            total = total + load(delta, d + i * step + v * LANES)
        store(partial, at + v * LANES, total)


@kernel
def tile_start(tiles, t, tall, short):
    """Return the first position of tile t."""
    return t * tall if t <= tiles.tall else tiles.tall * tall + (t - tiles.tall) * short


@kernel
def add_tap_row(
    partial, at, pixels, x, x_step, delta, d, d_step, transposed, count, tiles, begin, end, bundle, tall, short
):
    """Add one row of the image times one row of the delta to the tiles `begin` to `end` of one run of positions."""
    width = len(bundle) * LANES
    for t in range(begin, end):
        p = tile_start(tiles, t, len(tall), len(short))
        if t < tiles.tall:
            if transposed is None:
                tile_by_lanes(
                    partial, at + p * width, pixels, x + p * LANES, x_step, delta, d, d_step, count, bundle, tall
                )
            else:
                tile_by_filters(
                    partial, at + p * width, pixels, x + p * LANES, x_step, transposed, d, count, bundle, tall
                )
        else:
            if transposed is None:
                tile_by_lanes(
                    partial, at + p * width, pixels, x + p * LANES, x_step, delta, d, d_step, count, bundle, short
                )
            else:
                tile_by_filters(
                    partial, at + p * width, pixels, x + p * LANES, x_step, transposed, d, count, bundle, short
                )


@kernel
def weight_gradient_unit(
    unit,
    image,
    delta,
    partial,
    margins,
    transposed,
    blocks,
    rows,
    columns,
    channels,
    division,
    tiles,
    bundle,
    tall,
    short,
):
    """Do one unit of `weight_gradient`: some filters, some positions, some rows of the batch."""
    image_width = channels.groups * channels.inputs * LANES
    delta_width = channels.groups * channels.outputs * LANES
    bundle_width = len(bundle) * LANES
    bundle_filters = len(bundle) if transposed is None else bundle_width
    positions = rows.taps * columns.taps * channels.inputs
    padded = columns.offset < 0 or columns.offset + row_length(columns) > columns.input_size
    contiguous = columns.dilation == 1 and channels.groups == 1
    runs = 1 if contiguous else columns.taps
    length = columns.taps * channels.inputs if contiguous else channels.inputs

    slot = unit % division.slots
    chunk = unit // division.slots % division.chunks
    bundle_index = unit // (division.slots * division.chunks) % division.bundles
    group = unit // (division.slots * division.chunks * division.bundles)
    cuts = tiles.tall + tiles.short
    begin, end = chunk * cuts // division.chunks, (chunk + 1) * cuts // division.chunks
    base = ((slot * channels.groups + group) * division.bundles + bundle_index) * (positions + 1) * bundle_width
    bias = base + positions * bundle_width
    k = group * channels.outputs + bundle_index * bundle_filters
    filters = min(channels.outputs - bundle_index * bundle_filters, bundle_filters)

    first = tile_start(tiles, begin, len(tall), len(short))
    last = tile_start(tiles, end, len(tall), len(short))
    for run in range(rows.taps * runs):
        for p in range((run * length + first) * bundle_width, (run * length + last) * bundle_width, LANES):
            store(partial, base + p, constant(image, 0))
    if chunk == 0:
        for p in range(0, bundle_width, LANES):
            store(partial, bias + p, constant(image, 0))

    lines = blocks * rows.count
    for line in range(slot * lines // division.slots, (slot + 1) * lines // division.slots):
        b, y = line // rows.count, line % rows.count
        d = line * columns.count * delta_width + k * LANES
        if transposed is not None:
            source, d = d, unit * columns.count * LANES * bundle_width
            transpose_row(delta, source, delta_width, columns.count, filters, transposed, d, len(bundle))
        if chunk == 0:
            if transposed is None:
                add_bias(partial, bias, delta, d, len(bundle), delta_width, columns.count)
            else:
                add_bias(partial, bias, transposed, d, len(bundle), bundle_width, columns.count * LANES)
        for r in range(rows.taps):
            row = y * rows.stride + rows.offset + r * rows.dilation
            if row < 0 or row >= rows.input_size:
                continue
            x = (b * rows.input_size + row) * columns.input_size * image_width
            pixels = image
            if padded:
                source, x = x, unit * row_length(columns) * image_width
                copy_row_between_margins(image, source, margins, x, columns, image_width)
                pixels = margins
            for run in range(runs):
                start = x + run * columns.dilation * image_width + group * channels.inputs * LANES
                at = base + (r * runs + run) * length * bundle_width
                add_tap_row(
                    partial, at, pixels, start, columns.stride * image_width, delta, d, delta_width, transposed,
                    columns.count, tiles, begin, end, bundle, tall, short,
                )  # fmt: skip


@parallel_kernel
def weight_gradient(
    image, delta, partial, margins, transposed, blocks, rows, columns, channels, division, tiles, bundle, tall, short
):
    """Add up partial[slot, group, bundle, (r, s, c) and last the bias, filter of the bundle].

    Parameters
    ----------
    image, delta : 1-D array, float32 or float64
        In the layout of `kernels.convolution`.
    partial : 1-D array
        Scheme A: a lane vector for each filter; scheme B: a number. Written anew.
    margins : 1-D array
        Scratch for a row between margins, one for each unit.
    transposed : 1-D array or None
        Scratch for a transposed row of the delta, one for each unit; None chooses scheme A.
    rows, columns : Axis
        Of the forward pass.
    tiles : Tiles
        How a run of positions is cut.
    bundle, tall, short : tuple of int
        Only their lengths count: filters (A) or vectors of filters (B) in a tile, and the tiles' numbers of positions.
    """
    for index in prange(channels.groups * division.bundles * division.chunks * division.slots):
        unit = np.intp(index)
        weight_gradient_unit(
            unit, image, delta, partial, margins, transposed, blocks, rows, columns, channels, division, tiles,
            bundle, tall, short,
        )  # fmt: skip


@parallel_kernel
def add_slots(partial, slots, slot_size, by_lanes, where, gradient):
    """Write gradient[i] = sum over slots of partial[slot, where[i]], or of the 16 lanes from there (scheme A)."""
    for index in prange(PARTS):
        part = np.intp(index)
        for i in range(part * where.size // PARTS, (part + 1) * where.size // PARTS):
            if by_lanes:
                vector = load(partial, where[i])
                for slot in range(1, slots):
                    vector = vector + load(partial, slot * slot_size + where[i])
                gradient[i] = sum_lanes(vector)
            else:
                total = partial[where[i]]
                for slot in range(1, slots):
                    total += partial[slot * slot_size + where[i]]
                gradient[i] = total
