"""Winograd's algorithm a row of places at a time, for machines with many wide registers.

`kernels.winograd_patches` passes the products of all 36 places through memory. Here a worker does one patch at a time,
and of it a row of six places at a time: it transforms the row for all channels, which fit the L1 cache, sums the
products of a few filters at the six places in registers, and multiplies these sums with A before they leave the
registers. At has its turn when all six rows are done. That halves the memory traffic, but each vector loaded serves
four filters at most, and all weights are read again for each patch: with the 16 registers of AVX2 it would be slower.

Letters, layout and sizes as in `kernels.winograd`; a register tile holds a single patch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, kernel, parallel_kernel, shared
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.lanes import accumulate, splat, tile_store, tile_zero
from cnntrain.kernels.winograd import (
    PATCH_SIDE,
    PLACES,
    Geometry,
    Patch,
    Patches,
    Range,
    Series,
    Sizes,
    column_of,
    load_six,
    moved,
    place_size,
    square_of,
)
from cnntrain.kernels.winograd_images import COLUMNS, columns_of, neighbours_of, transform_columns, transform_row
from cnntrain.kernels.winograd_matrices import output_part
from cnntrain.kernels.winograd_patches import Arrays, store_line
from cnntrain.kernels.work import each_tile, share
from cnntrain.shape import LANES


class Room(NamedTuple):
    """A worker's scratch memory: where its parts begin, and its size."""

    row: Series  # six places of a row of Bt d B, with all channels
    products: Series  # six rows of M A, each as (column of the square, filter): a column is a step
    midway: Series  # Bt d of neighbours, with all channels
    size: int


class Work(NamedTuple):
    """What a worker works on."""

    arrays: Arrays
    geometry: Geometry
    sizes: Sizes
    room: Room


class Row(NamedTuple):
    """A row of places, and where its products with all filters go."""

    work: Work
    weights: Series  # of the row's places
    target: Series


@shared
def rows_room(worker, geometry, sizes):
    """Return a worker's room for `correlate_rows`."""
    channels = geometry.channels
    step, column = place_size(1, channels.inputs), place_size(1, channels.outputs)
    row, products = PATCH_SIDE * step, PATCH_SIDE * len(sizes.side) * column
    size = row + products + COLUMNS * PATCH_SIDE * step
    at = worker * size
    return Room(Series(at, step), Series(at + row, column), Series(at + row + products, step), size)


@inlined_kernel
def correlate_row(row, k, filters):
    """Write a row of M A for a tile of filters: the products at its six places, summed over the inputs, times A."""
    arrays, sizes, inputs = row.work.arrays, row.work.sizes, row.work.geometry.channels.inputs
    scratch, weights = arrays.scratch, arrays.weights
    (x, step), (w, size) = row.work.room.row, row.weights
    w += inputs * k
    a = b = c = d = e = f = tile_zero(scratch, sizes.vectors, filters)
    for _ in range(inputs):
        a = accumulate(a, scratch, x, step, weights, w, 1)
        b = accumulate(b, scratch, x + step, step, weights, w + size, 1)
        c = accumulate(c, scratch, x + 2 * step, step, weights, w + 2 * size, 1)
        d = accumulate(d, scratch, x + 3 * step, step, weights, w + 3 * size, 1)
        e = accumulate(e, scratch, x + 4 * step, step, weights, w + 4 * size, 1)
        f = accumulate(f, scratch, x + 5 * step, step, weights, w + 5 * size, 1)
        x += LANES
        w += len(filters)
    y0, y1, y2, y3 = output_part(a, b, c, d, e, f, sizes.side)
    to, column = row.target.at + k * LANES, row.target.step
    tile_store(scratch, to, column, LANES, y0)
    tile_store(scratch, to + column, column, LANES, y1)
    if len(sizes.side) == 4:
        tile_store(scratch, to + 2 * column, column, LANES, y2)
        tile_store(scratch, to + 3 * column, column, LANES, y3)


@kernel
def store_column(scratch, source, output, target, down, bias, side):
    """Multiply At with a column of M A and write `down` outputs of it, plus bias."""
    store_line(output, target, down, bias, load_six(scratch, source), side)


@kernel
def store_squares(work, patch):
    """Write the squares of a patch, of all filters."""
    arrays, side, square = work.arrays, work.sizes.side, square_of(patch, np.intp(0), work.geometry)
    scratch, output, column, down = arrays.scratch, arrays.output, work.room.products.step, square.down
    source, target = Series(work.room.products.at, len(side) * column), Series(square.at, square.line)
    for k in range(work.geometry.channels.outputs):
        bias = splat(arrays.bias[k])
        store_column(scratch, source, output, target, down, bias, side)
        if square.right > 1:
            store_column(
                scratch, moved(source, column), output, moved(target, square.step), down, bias, side
            )  # fmt: skip
        if len(side) == 4:
            if square.right > 2:
                store_column(
                    scratch, moved(source, 2 * column), output, moved(target, 2 * square.step), down, bias, side
                )  # fmt: skip
            if square.right > 3:
                store_column(
                    scratch, moved(source, 3 * column), output, moved(target, 3 * square.step), down, bias, side
                )  # fmt: skip
        source, target = moved(source, LANES), moved(target, LANES)


@kernel
def correlate_patch(work, midway, patch):
    """Write the squares of a patch, whose Bt d is midway."""
    arrays, geometry, sizes, room = work.arrays, work.geometry, work.sizes, work.room
    size = arrays.weights.size // PLACES
    for r in range(PATCH_SIDE):
        # midway lies by columns: what would be its column r is row r
        transform_row(arrays.scratch, column_of(midway, r), room.row, geometry.channels.inputs)
        row = Row(
            work,
            Series(r * PATCH_SIDE * size, size),
            moved(room.products, r * len(sizes.side) * room.products.step),
        )
        each_tile(correlate_row, row, geometry.tiles, sizes.tall, sizes.short)
    store_squares(work, patch)


@kernel
def correlate_neighbours(work, neighbours):
    """Write the squares of patches side by side."""
    geometry, side, midway = work.geometry, work.sizes.side, work.room.midway
    channels, patch = Range(np.intp(0), geometry.channels.inputs), neighbours.patch
    transform_columns(work.arrays.image, geometry, neighbours, channels, work.arrays.scratch, midway, side)
    for n in range(neighbours.count):
        here = Patch(patch.b, patch.i, patch.j + n * len(side))
        correlate_patch(work, columns_of(midway, n, side), here)


@parallel_kernel
def correlate_rows(image, weights, bias, output, scratch, workers, blocks, geometry, sizes):
    """Do what `kernels.winograd_patches.correlate_patches` does, with the same parameters.

    But scratch has a `rows_room` per worker, and the patches' stretch does not count.
    """
    rows, columns, channels = Axis(*geometry[0]), Axis(*geometry[1]), Channels(*geometry[2])
    patches, tiles = Patches(*geometry[3]), Tiles(*geometry[4])
    side, vectors, tall, short = sizes
    total = blocks * patches.rows * patches.columns
    for index in prange(workers):
        whole, form = Geometry(rows, columns, channels, patches, tiles), Sizes(side, vectors, tall, short)
        room = rows_room(np.intp(index), whole, form)
        here = Work(Arrays(image, weights, bias, output, scratch), whole, form, room)
        n, end = share(np.intp(index), workers, total)
        while n < end:
            neighbours = neighbours_of(n, end, patches, side)
            correlate_neighbours(here, neighbours)
            n += neighbours.count
