"""Winograd's algorithm, many patches at a time; letters, layout and sizes as in `kernels.winograd`.

A worker takes a *stretch* of patches: it transforms them, all channels; then, for a tile of filters, it writes the
products of a few patches at all 36 places, and makes their squares of outputs of them, before the next filters' turn.

Y is the output of the forward pass, or the gradient of the input, as the full convolution of the delta.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel, shared
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.lanes import accumulate, splat, store, tile_store, tile_zero
from cnntrain.kernels.winograd import (
    PLACES,
    Geometry,
    Patches,
    Range,
    Series,
    Sizes,
    column_of,
    load_six,
    moved,
    patch_of,
    place_size,
    square_of,
)
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
    """What `correlate_patches` reads and writes."""

    image: Any
    weights: Any
    bias: Any
    output: Any
    scratch: Any


class Stretch(NamedTuple):
    """A worker's share of the work at a time."""

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
def products_of(room, vectors, filters):
    """Return where the products of a register tile lie: at each place (patch, filter of the tile)."""
    return Series(room.products, place_size(len(vectors), len(filters)))


@kernel
def multiply_places(scratch, source, inputs, weights, w, products, vectors, filters):
    """Write the products of `len(vectors)` patches and a tile of filters at all places, summed over the inputs.

    Where a stretch ends within a tile, products of whatever is there are computed, and not used.
    """
    size = weights.size // PLACES
    for p in range(PLACES):
        tile = tile_zero(scratch, vectors, filters)
        left, right = source.at + p * source.step, w + p * size
        for _ in range(inputs):
            tile = accumulate(tile, scratch, left, inputs * LANES, weights, right, 1)
            left += LANES
            right += len(filters)
        tile_store(scratch, products.at + p * products.step, len(filters) * LANES, LANES, tile)


@kernel
def output_column(scratch, places, side):
    """Multiply At with a column of M."""
    a, b, c, d, e, f = load_six(scratch, places)
    return output_part(a, b, c, d, e, f, side)


@kernel
def store_line(output, target, count, bias, m, side):
    """Multiply At with a column m, or a row with A, and write `count` outputs of it, plus bias."""
    y = output_part(m[0], m[1], m[2], m[3], m[4], m[5], side)
    store(output, target.at, y[0] + bias)
    if count > 1:
        store(output, target.at + target.step, y[1] + bias)
    if len(side) == 4:
        if count > 2:
            store(output, target.at + 2 * target.step, y[2] + bias)
        if count > 3:
            store(output, target.at + 3 * target.step, y[3] + bias)


@kernel
def store_square(scratch, products, output, square, bias, side):
    """Write At M A, plus bias."""
    x0 = output_column(scratch, column_of(products, 0), side)
    x1 = output_column(scratch, column_of(products, 1), side)
    x2 = output_column(scratch, column_of(products, 2), side)
    x3 = output_column(scratch, column_of(products, 3), side)
    x4 = output_column(scratch, column_of(products, 4), side)
    x5 = output_column(scratch, column_of(products, 5), side)
    line = Series(square.at, square.step)
    store_line(output, line, square.right, bias, (x0[0], x1[0], x2[0], x3[0], x4[0], x5[0]), side)
    if square.down > 1:
        line = moved(line, square.line)
        store_line(output, line, square.right, bias, (x0[1], x1[1], x2[1], x3[1], x4[1], x5[1]), side)
    if len(side) == 4:
        if square.down > 2:
            line = moved(line, square.line)
            store_line(output, line, square.right, bias, (x0[2], x1[2], x2[2], x3[2], x4[2], x5[2]), side)
        if square.down > 3:
            line = moved(line, square.line)
            store_line(output, line, square.right, bias, (x0[3], x1[3], x2[3], x3[3], x4[3], x5[3]), side)


@kernel
def store_squares(stretch, n, products, k, filters):
    """Write the squares of patch n for a tile of filters."""
    arrays, geometry, side = stretch.arrays, stretch.geometry, stretch.sizes.side
    patch = patch_of(n, geometry.patches, side)
    for f in range(len(filters)):
        square, bias = square_of(patch, k + f, geometry), splat(arrays.bias[k + f])
        store_square(arrays.scratch, moved(products, f * LANES), arrays.output, square, bias, side)


@kernel
def correlate_tile(stretch, k, filters):
    """Write the squares of a stretch's patches for the filters k ... of a tile."""
    arrays, room, vectors = stretch.arrays, stretch.room, stretch.sizes.vectors
    inputs, products = stretch.geometry.channels.inputs, products_of(room, vectors, filters)
    for n in range(stretch.patches.begin, stretch.patches.end, len(vectors)):
        source = moved(room.transformed, (n - stretch.patches.begin) * inputs * LANES)
        multiply_places(arrays.scratch, source, inputs, arrays.weights, inputs * k, products, vectors, filters)
        for m in range(n, min(n + len(vectors), stretch.patches.end)):
            store_squares(stretch, m, moved(products, (m - n) * len(filters) * LANES), k, filters)


@kernel
def correlate_stretch(stretch):
    """Write the squares of a stretch's patches for all filters."""
    arrays, geometry, sizes, room = stretch.arrays, stretch.geometry, stretch.sizes, stretch.room
    channels = Range(np.intp(0), geometry.channels.inputs)
    transform_patches(
        arrays.image, geometry, stretch.patches, channels, arrays.scratch, room.transformed, room.midway, sizes.side
    )
    each_tile(correlate_tile, stretch, geometry.tiles, sizes.tall, sizes.short)


@parallel_kernel
def correlate_patches(image, weights, bias, output, scratch, workers, blocks, geometry, sizes):
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
    workers : int
        Any number gives the same bits.
    geometry, sizes : tuple
        Geometry and Sizes, with all that they contain as plain tuples.
    """
    rows, columns, channels = Axis(*geometry[0]), Axis(*geometry[1]), Channels(*geometry[2])
    patches, tiles = Patches(*geometry[3]), Tiles(*geometry[4])
    side, vectors, tall, short = sizes
    total = blocks * patches.rows * patches.columns
    units = (total + patches.stretch - 1) // patches.stretch
    for index in prange(workers):
        arrays = Arrays(image, weights, bias, output, scratch)
        whole, form = Geometry(rows, columns, channels, patches, tiles), Sizes(side, vectors, tall, short)
        room = patches_room(np.intp(index), whole, form)
        begin, end = share(np.intp(index), workers, units)
        for unit in range(begin, end):
            first = unit * patches.stretch
            here = Range(first, min(first + patches.stretch, total))
            correlate_stretch(Stretch(arrays, whole, form, room, here))
