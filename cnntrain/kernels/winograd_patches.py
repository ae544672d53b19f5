"""Winograd's algorithm, many patches at a time; letters, layout and sizes as in `kernels.winograd`.

A worker takes a *stretch* of patches: it transforms them, all channels; then, for a tile of filters, it writes the
products of a few patches at all 36 places, and makes their squares of outputs of them, before the next filters' turn.

Y is the output of the forward pass, or the gradient of the input, as the full convolution of the delta.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, outer_kernel, parallel_kernel, shared
from cnntrain.kernels.lanes import accumulate, memory, splat_at, store, tile_store, tile_zero
from cnntrain.kernels.winograd import (
    PLACES,
    Geometry,
    Range,
    Series,
    Sizes,
    geometry_of,
    load_six,
    patch_of,
    place_size,
    square_of,
)
from cnntrain.kernels.winograd_filters import filters_place
from cnntrain.kernels.winograd_images import MIDWAY, transform_patches
from cnntrain.kernels.winograd_matrices import output_part
from cnntrain.kernels.work import each_tile, share
from cnntrain.shape import LANES


class Room(NamedTuple):
    """A worker's scratch memory: where its parts begin, and its size."""

    transformed: Series  # the places of a stretch's patches, or squares of the delta
    products: int  # of the patches in a register tile with its filters
    midway: int
    size: int


class Arrays(NamedTuple):
    """What `correlate_patches` reads and writes: the `memory` of each."""

    image: object
    weights: object
    bias: object
    output: object
    scratch: object


class Stretch(NamedTuple):
    """A worker's share of the work at a time: patches, and what becomes of them."""

    arrays: Arrays
    geometry: Geometry
    sizes: Sizes
    room: Room
    patches: Range


@shared
def stretch_room(worker, geometry, channels, sizes, midway):
    """Return a worker's room for a stretch of so many channels, products, and `midway` numbers."""
    step = place_size(geometry.patches.stretch, channels)
    transformed, products = PLACES * step, PLACES * place_size(len(sizes.vectors), len(sizes.tall))
    size = transformed + products + midway
    at = worker * size
    return Room(Series(at, step), at + transformed, at + transformed + products, size)


@shared
def patches_room(worker, geometry, sizes):
    """Return a worker's room for `correlate_patches`."""
    return stretch_room(worker, geometry, geometry.channels.inputs, sizes, MIDWAY)


@kernel
def multiply_places(scratch, source, weights, factors, inputs, products, vectors, filters):
    """Write the products of `len(vectors)` patches and a tile of filters at all places, summed over the inputs.

    `source` and `factors` are the places of the first patch and of the tile's weights. The products of a place are
    (patch, filter of the tile). Where a stretch ends within a tile, products of whatever is there are computed, and not
    used.
    """
    for p in range(PLACES):
        tile = tile_zero(scratch, vectors, filters)
        left, right = source.at + p * source.step, factors.at + p * factors.step
        for _ in range(inputs):
            tile = accumulate(tile, scratch, left, inputs * LANES, weights, right, 1)
            left += LANES
            right += len(filters)
        tile_store(scratch, products.at + p * products.step, len(filters) * LANES, LANES, tile)


@kernel
def output_column(scratch, at, step, side):
    """Multiply At with a column of M."""
    a, b, c, d, e, f = load_six(scratch, at, step)
    return output_part(a, b, c, d, e, f, side)


@kernel
def store_line(output, to, step, count, bias, m, side):
    """Multiply At with a column m, or a row with A, and write `count` outputs of it, plus bias."""
    y = output_part(m[0], m[1], m[2], m[3], m[4], m[5], side)
    store(output, to, y[0] + bias)
    if count > 1:
        store(output, to + step, y[1] + bias)
    if len(side) == 4:
        if count > 2:
            store(output, to + 2 * step, y[2] + bias)
        if count > 3:
            store(output, to + 3 * step, y[3] + bias)


@kernel
def store_square(scratch, products, output, square, bias, side):
    """Write At M A, plus bias."""
    at, step = products.at, products.step
    x0 = output_column(scratch, at, 6 * step, side)
    x1 = output_column(scratch, at + step, 6 * step, side)
    x2 = output_column(scratch, at + 2 * step, 6 * step, side)
    x3 = output_column(scratch, at + 3 * step, 6 * step, side)
    x4 = output_column(scratch, at + 4 * step, 6 * step, side)
    x5 = output_column(scratch, at + 5 * step, 6 * step, side)
    to, width, line, down, right = square
    store_line(output, to, width, right, bias, (x0[0], x1[0], x2[0], x3[0], x4[0], x5[0]), side)
    if down > 1:
        store_line(output, to + line, width, right, bias, (x0[1], x1[1], x2[1], x3[1], x4[1], x5[1]), side)
    if len(side) == 4:
        if down > 2:
            store_line(output, to + 2 * line, width, right, bias, (x0[2], x1[2], x2[2], x3[2], x4[2], x5[2]), side)
        if down > 3:
            store_line(output, to + 3 * line, width, right, bias, (x0[3], x1[3], x2[3], x3[3], x4[3], x5[3]), side)


@outer_kernel
def correlate_tile(stretch, k, filters):
    """Write the squares of a stretch's patches for a tile of filters."""
    arrays, geometry, sizes, room, patches = stretch
    scratch, inputs, vectors = arrays.scratch, geometry.channels.inputs, sizes.vectors
    factors = Series(inputs * k, filters_place(inputs, geometry.channels.outputs))
    step = place_size(len(vectors), len(filters))
    for n in range(patches.begin, patches.end, len(vectors)):
        source = Series(room.transformed.at + (n - patches.begin) * inputs * LANES, room.transformed.step)
        products = Series(room.products, step)
        multiply_places(scratch, source, arrays.weights, factors, inputs, products, vectors, filters)
        for m in range(n, min(n + len(vectors), patches.end)):
            patch, at = patch_of(m, geometry.patches, sizes.side), room.products + (m - n) * len(filters) * LANES
            for f in range(len(filters)):
                square, bias = square_of(patch, k + f, geometry), splat_at(arrays.bias, k + f)
                places = Series(at + f * LANES, step)
                store_square(scratch, places, arrays.output, square, bias, sizes.side)


@outer_kernel
def correlate_share(worker, batch, arrays, plain, form):
    """Write a worker's share of the squares, a stretch at a time."""
    geometry, sizes = geometry_of(plain), Sizes(*form)
    patches, channels = geometry.patches, Range(np.intp(0), geometry.channels.inputs)
    room, (blocks, workers) = patches_room(worker, geometry, sizes), batch
    total = blocks * patches.rows * patches.columns
    begin, end = share(worker, workers, (total + patches.stretch - 1) // patches.stretch)
    for unit in range(begin, end):
        own = Range(unit * patches.stretch, min((unit + 1) * patches.stretch, total))
        transform_patches(
            arrays.image, geometry, own, channels, arrays.scratch, room.transformed, room.midway, sizes.side
        )  # fmt: skip
        stretch = Stretch(arrays, geometry, sizes, room, own)
        each_tile(correlate_tile, stretch, geometry.tiles, sizes.tall, sizes.short)


@parallel_kernel
def correlate_patches(image, weights, bias, output, scratch, blocks, workers, geometry, sizes):
    """Correlate the first `blocks` blocks with filters from `transform_filters`.

    Parameters
    ----------
    image, output : 1-D array, float32 or float64
    weights : 1-D array
        As (p, tile of filters, c, filter in tile).
    bias : 1-D array
        One number per output channel.
    scratch : 1-D array
        A `patches_room` per worker.
    blocks, workers : int
        Any number of workers gives the same bits.
    geometry, sizes : tuple
        Geometry and Sizes, with all that they contain as plain tuples.
    """
    rows, columns, channels, patches, tiles = geometry  # apart: tuples in tuples do not enter a parallel loop
    side, vectors, tall, short = sizes
    for index in prange(workers):
        arrays = Arrays(memory(image), memory(weights), memory(bias), memory(output), memory(scratch))
        plain, form = (rows, columns, channels, patches, tiles), (side, vectors, tall, short)
        correlate_share(np.intp(index), (blocks, workers), arrays, plain, form)
