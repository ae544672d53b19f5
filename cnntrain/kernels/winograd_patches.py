"""Winograd's algorithm, many patches at a time; letters, layout and sizes as in `kernels.winograd`.

A worker takes a *stretch* of patches: it transforms them, all channels; then, for a tile of filters, it writes the
products of a few patches at all places, and makes their squares of outputs of them, before the next filters' turn.

Y is the output of the forward pass, or the gradient of the input, as the full convolution of the delta.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, outer_kernel, parallel_kernel, shared
from cnntrain.kernels.lanes import accumulate, memory, splat_at, store, tile_store, tile_zero
from cnntrain.kernels.winograd import (
    Geometry,
    Range,
    Series,
    Sizes,
    geometry_of,
    load_places,
    patch_of,
    place_size,
    places_of,
    square_of,
)
from cnntrain.kernels.winograd_filters import filters_place
from cnntrain.kernels.winograd_images import midway_size, transform_patches
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
    step, places = place_size(geometry.patches.stretch, channels), places_of(sizes.patch)
    transformed, products = places * step, places * place_size(len(sizes.vectors), len(sizes.tall))
    size = transformed + products + midway
    at = worker * size
    return Room(Series(at, step), at + transformed, at + transformed + products, size)


@shared
def patches_room(worker, geometry, sizes):
    """Return a worker's room for `correlate_patches`."""
    return stretch_room(worker, geometry, geometry.channels.inputs, sizes, midway_size(sizes.patch))


@kernel
def chunk_of(patch, inputs):
    """Return how many channels are summed before they meet the others.

    With patches of 8x8 that is at most 8, because a sum of few sums rounds less than a long one; with 6x6 it is all.
    """
    if len(patch) == 6:
        return inputs
    chunks = (inputs + 7) // 8
    return (inputs + chunks - 1) // chunks


@kernel
def multiply_places(scratch, source, weights, factors, inputs, products, sizes, filters):
    """Write the products of `len(sizes.vectors)` patches and a tile of filters at all places, summed over the inputs.

    `source` and `factors` are the places of the first patch and of the tile's weights. The products of a place are
    (patch, filter of the tile). Where a stretch ends within a tile, products of whatever is there are computed, and not
    used.
    """
    chunk = chunk_of(sizes.patch, inputs)
    for p in range(places_of(sizes.patch)):
        total = tile_zero(scratch, sizes.vectors, filters)
        left, right = source.at + p * source.step, factors.at + p * factors.step
        for first in range(0, inputs, chunk):
            tile = tile_zero(scratch, sizes.vectors, filters)
            for _ in range(first, min(first + chunk, inputs)):
                tile = accumulate(tile, scratch, left, inputs * LANES, weights, right, 1)
                left += LANES
                right += len(filters)
            total = total + tile
        tile_store(scratch, products.at + p * products.step, len(filters) * LANES, LANES, total)


@kernel
def store_line(output, to, step, count, bias, y, side):
    """Write `count` outputs of a row or column y of a square, plus bias."""
    store(output, to, y[0] + bias)
    if count > 1:
        store(output, to + step, y[1] + bias)
    if len(side) == 4:
        if count > 2:
            store(output, to + 2 * step, y[2] + bias)
        if count > 3:
            store(output, to + 3 * step, y[3] + bias)


@kernel
def store_part(scratch, to, step, y, side):
    """Write a column of At M."""
    store(scratch, to, y[0])
    store(scratch, to + step, y[1])
    if len(side) == 4:
        store(scratch, to + 2 * step, y[2])
        store(scratch, to + 3 * step, y[3])


@kernel
def store_square(scratch, products, output, square, bias, sizes):
    """Write At M A, plus bias; At M takes the place of M."""
    (at, step), patch, side = products, sizes.patch, sizes.side
    line = len(patch) * step
    for s in range(len(patch)):
        y = output_part(load_places(scratch, at + s * step, line, patch), side)
        store_part(scratch, at + s * step, line, y, side)
    to, width, output_line, down, right = square
    for r in range(min(down, len(side))):
        y = output_part(load_places(scratch, at + r * line, step, patch), side)
        store_line(output, to + r * output_line, width, right, bias, y, side)


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
        multiply_places(scratch, source, arrays.weights, factors, inputs, products, sizes, filters)
        for m in range(n, min(n + len(vectors), patches.end)):
            patch, at = patch_of(m, geometry.patches, sizes.side), room.products + (m - n) * len(filters) * LANES
            for f in range(len(filters)):
                square, bias = square_of(patch, k + f, geometry), splat_at(arrays.bias, k + f)
                places = Series(at + f * LANES, step)
                store_square(scratch, places, arrays.output, square, bias, sizes)


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
        transform_patches(arrays.image, geometry, own, channels, arrays.scratch, room.transformed, room.midway, sizes)
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
    patch, side, vectors, tall, short = sizes
    for index in prange(workers):
        arrays = Arrays(memory(image), memory(weights), memory(bias), memory(output), memory(scratch))
        plain, form = (rows, columns, channels, patches, tiles), (patch, side, vectors, tall, short)
        correlate_share(np.intp(index), (blocks, workers), arrays, plain, form)
