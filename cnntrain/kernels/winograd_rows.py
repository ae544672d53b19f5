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

from cnntrain.kernels.compiler.jit import inlined_kernel, kernel, outer_kernel, parallel_kernel, shared
from cnntrain.kernels.lanes import accumulate, memory, splat_at, tile_store, tile_zero
from cnntrain.kernels.winograd import (
    Patch,
    Range,
    Series,
    Sizes,
    geometry_of,
    load_places,
    place_size,
    square_of,
)
from cnntrain.kernels.winograd_filters import filters_place
from cnntrain.kernels.winograd_images import columns_of, neighbours_of, transform_columns, transform_row
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


class Row(NamedTuple):
    """A row of six places: Bt d B, the weights, and where M A goes."""

    scratch: object
    weights: object
    inputs: int
    places: Series
    factors: Series
    target: Series  # by columns of the square
    side: tuple[int, ...]
    vectors: tuple[int, ...]


@shared
def rows_room(worker, geometry, sizes):
    """Return a worker's room for `correlate_rows`."""
    channels = geometry.channels
    step, column, patch = place_size(1, channels.inputs), place_size(1, channels.outputs), sizes.patch
    row, products = len(patch) * step, len(patch) * len(sizes.side) * column
    size = row + products + columns_of(patch) * len(patch) * step
    at = worker * size
    return Room(Series(at, step), Series(at + row, column), Series(at + row + products, step), size)


@inlined_kernel
def correlate_row(row, k, filters):
    """Write a row of M A for a tile of filters: the products at its six places, summed over the inputs, times A."""
    scratch, weights = row.scratch, row.weights
    (x, step), (w, size) = row.places, row.factors
    w += row.inputs * k
    a = b = c = d = e = f = tile_zero(scratch, row.vectors, filters)
    for _ in range(row.inputs):
        a = accumulate(a, scratch, x, step, weights, w, 1)
        b = accumulate(b, scratch, x + step, step, weights, w + size, 1)
        c = accumulate(c, scratch, x + 2 * step, step, weights, w + 2 * size, 1)
        d = accumulate(d, scratch, x + 3 * step, step, weights, w + 3 * size, 1)
        e = accumulate(e, scratch, x + 4 * step, step, weights, w + 4 * size, 1)
        f = accumulate(f, scratch, x + 5 * step, step, weights, w + 5 * size, 1)
        x += LANES
        w += len(filters)
    y0, y1, y2, y3 = output_part((a, b, c, d, e, f), row.side)
    to, column = row.target.at + k * LANES, row.target.step
    tile_store(scratch, to, column, LANES, y0)
    tile_store(scratch, to + column, column, LANES, y1)
    if len(row.side) == 4:
        tile_store(scratch, to + 2 * column, column, LANES, y2)
        tile_store(scratch, to + 3 * column, column, LANES, y3)


@kernel
def store_column(scratch, source, output, target, down, bias, sizes):
    """Multiply At with a column of M A and write `down` outputs of it, plus bias."""
    y = output_part(load_places(scratch, source.at, source.step, sizes.patch), sizes.side)
    store_line(output, target.at, target.step, down, bias, y, sizes.side)


@kernel
def store_squares(arrays, products, geometry, patch, sizes):
    """Write the squares of a patch, of all filters."""
    scratch, output, column, side = arrays.scratch, arrays.output, products.step, sizes.side
    row = len(side) * column
    for k in range(geometry.channels.outputs):
        to, width, line, down, right = square_of(patch, k, geometry)
        at, bias = products.at + k * LANES, splat_at(arrays.bias, k)
        store_column(scratch, Series(at, row), output, Series(to, line), down, bias, sizes)
        if right > 1:
            source, target = Series(at + column, row), Series(to + width, line)
            store_column(scratch, source, output, target, down, bias, sizes)
        if len(side) == 4:
            if right > 2:
                source, target = Series(at + 2 * column, row), Series(to + 2 * width, line)
                store_column(scratch, source, output, target, down, bias, sizes)
            if right > 3:
                source, target = Series(at + 3 * column, row), Series(to + 3 * width, line)
                store_column(scratch, source, output, target, down, bias, sizes)


@outer_kernel
def correlate_patch(arrays, geometry, sizes, room, midway_at, patch):
    """Write the squares of a patch, whose Bt d begins at `midway_at`."""
    scratch, (_, inputs, outputs), products = arrays.scratch, geometry.channels, room.products
    size, side = filters_place(inputs, outputs), len(sizes.patch)
    for r in range(side):
        source = Series(midway_at + r * room.midway.step, side * room.midway.step)
        transform_row(scratch, source, room.row, inputs, sizes.patch)
        factors = Series(r * side * size, size)
        target = Series(products.at + r * len(sizes.side) * products.step, products.step)
        row = Row(scratch, arrays.weights, inputs, room.row, factors, target, sizes.side, sizes.vectors)
        each_tile(correlate_row, row, geometry.tiles, sizes.tall, sizes.short)
    store_squares(arrays, products, geometry, patch, sizes)


@outer_kernel
def correlate_share(worker, batch, arrays, plain, form):
    """Write a worker's share of the squares, neighbours by neighbours."""
    geometry, sizes = geometry_of(plain), Sizes(*form)
    room, (blocks, workers) = rows_room(worker, geometry, sizes), batch
    channels, side = Range(np.intp(0), geometry.channels.inputs), sizes.side
    n, end = share(worker, workers, blocks * geometry.patches.rows * geometry.patches.columns)
    while n < end:
        neighbours = neighbours_of(n, end, geometry.patches, sizes.patch, side)
        transform_columns(arrays.image, geometry, neighbours, channels, arrays.scratch, room.midway, sizes)
        b, i, j = neighbours.patch
        for m in range(0, neighbours.count * len(side), len(side)):
            midway_at = room.midway.at + m * len(sizes.patch) * room.midway.step
            correlate_patch(arrays, geometry, sizes, room, midway_at, Patch(b, i, j + m))
        n += neighbours.count


@parallel_kernel
def correlate_rows(image, weights, bias, output, scratch, blocks, workers, geometry, sizes):
    """Do what `kernels.winograd_patches.correlate_patches` does, with the same parameters.

    But scratch has a `rows_room` per worker, and the patches' stretch does not count.
    """
    rows, columns, channels, patches, tiles = geometry  # apart: tuples in tuples do not enter a parallel loop
    patch, side, vectors, tall, short = sizes
    for index in prange(workers):
        arrays = Arrays(memory(image), memory(weights), memory(bias), memory(output), memory(scratch))
        plain, form = (rows, columns, channels, patches, tiles), (patch, side, vectors, tall, short)
        correlate_share(np.intp(index), (blocks, workers), arrays, plain, form)
