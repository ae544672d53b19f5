"""Backward to the input by Winograd's algorithm; letters, layout and sizes as in `kernels.winograd`.

The outputs Y are linear in the patch d, so its gradient is the transposed map of the delta:

    dL/dd = B [ sum over filters of (G g Gt) * (A delta At) ] Bt

Patches overlap, and what they share is added. The full convolution of the delta is the same sum, and may be computed by
`kernels.winograd_patches`; but where images are not padded the delta is smaller than the image, so that here fewer
patches do: 16 instead of 36 for 5x5 filters on 12x12 pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, outer_kernel, parallel_kernel, shared
from cnntrain.kernels.lanes import constant, load, memory, store
from cnntrain.kernels.winograd import (
    Range,
    Series,
    Sizes,
    geometry_of,
    load_places,
    patch_of,
    pixel_at,
    place_size,
    places_of,
    store_places,
)
from cnntrain.kernels.winograd_deltas import transform_squares
from cnntrain.kernels.winograd_filters import filters_place
from cnntrain.kernels.winograd_matrices import pixel_part
from cnntrain.kernels.winograd_patches import Stretch, multiply_places, stretch_room
from cnntrain.kernels.work import first_of_tile, share, some_tiles
from cnntrain.shape import LANES


class Arrays(NamedTuple):
    """What `add_patches` reads and writes: the `memory` of each."""

    delta: object
    weights: object
    grad_input: object
    scratch: object


@shared
def input_room(worker, geometry, sizes):
    """Return a worker's room for `add_patches`; B M of a tile's channels is midway, as (channel, place)."""
    midway = len(sizes.tall) * places_of(sizes.patch) * LANES
    return stretch_room(worker, geometry, geometry.channels.outputs, sizes, midway)


@kernel
def multiply_columns(scratch, products, midway_at, count, patch):
    """Write B M of a patch, for the `count` channels of a tile."""
    line = len(patch) * products.step
    for s in range(len(patch)):
        for f in range(count):
            column = load_places(scratch, products.at + s * products.step + f * LANES, line, patch)
            to = midway_at + (f * places_of(patch) + s) * LANES
            store_places(scratch, to, len(patch) * LANES, pixel_part(column))


@kernel
def add_pixel(grad_input, at, inside, value):
    """Add a lane vector to a pixel, if it is in the image."""
    if inside:
        store(grad_input, at, load(grad_input, at) + value)


@kernel
def add_row(grad_input, at, width, column, size, values):
    """Add lane vectors to the pixels from `column` on, those that are in an image of `size` columns."""
    add_pixel(grad_input, at, 0 <= column < size, values[0])
    add_pixel(grad_input, at + width, 0 <= column + 1 < size, values[1])
    add_pixel(grad_input, at + 2 * width, 0 <= column + 2 < size, values[2])
    add_pixel(grad_input, at + 3 * width, 0 <= column + 3 < size, values[3])
    add_pixel(grad_input, at + 4 * width, 0 <= column + 4 < size, values[4])
    add_pixel(grad_input, at + 5 * width, 0 <= column + 5 < size, values[5])
    if len(values) == 8:
        add_pixel(grad_input, at + 6 * width, 0 <= column + 6 < size, values[6])
        add_pixel(grad_input, at + 7 * width, 0 <= column + 7 < size, values[7])


@kernel
def add_rows(arrays, geometry, first, midway_at, channels, patch):
    """Add B M Bt to the pixels of patch `first`, for some channels."""
    rows, columns, width = geometry.rows, geometry.columns, geometry.channels.inputs * LANES
    row, column = first.i + rows.offset, first.j + columns.offset
    for r in range(len(patch)):
        if 0 <= row + r < rows.input_size:
            to = pixel_at(geometry, first.b, row + r, column) + channels.begin * LANES
            for f in range(channels.end - channels.begin):
                at = midway_at + (f * places_of(patch) + r * len(patch)) * LANES
                values = pixel_part(load_places(arrays.scratch, at, LANES, patch))
                add_row(arrays.grad_input, to + f * LANES, width, column, columns.input_size, values)


@outer_kernel
def add_tile(stretch, c, channels):
    """Add what a stretch's squares give to a tile of channels."""
    arrays, geometry, sizes, room, patches = stretch
    scratch, outputs, vectors = arrays.scratch, geometry.channels.outputs, sizes.vectors
    factors = Series(outputs * c, filters_place(outputs, geometry.channels.inputs))
    step = place_size(len(vectors), len(channels))
    for n in range(patches.begin, patches.end, len(vectors)):
        source = Series(room.transformed.at + (n - patches.begin) * outputs * LANES, room.transformed.step)
        products = Series(room.products, step)
        multiply_places(scratch, source, arrays.weights, factors, outputs, products, sizes, channels)
        for m in range(n, min(n + len(vectors), patches.end)):
            places = Series(room.products + (m - n) * len(channels) * LANES, step)
            multiply_columns(scratch, places, room.midway, len(channels), sizes.patch)
            patch = patch_of(m, geometry.patches, sizes.side)
            add_rows(arrays, geometry, patch, room.midway, Range(c, c + len(channels)), sizes.patch)


@kernel
def clear_channels(grad_input, geometry, b, channels):
    """Write zeros to some channels of a block's pixels."""
    first, last = pixel_at(geometry, b, 0, 0), pixel_at(geometry, b + 1, 0, 0)
    for at in range(first, last, geometry.channels.inputs * LANES):
        for c in range(channels.begin, channels.end):
            store(grad_input, at + c * LANES, constant(grad_input, 0))


@outer_kernel
def add_block(arrays, geometry, sizes, room, b, tiles):
    """Write the gradient of a block of images, for some tiles of channels."""
    patches, side, tall, short = geometry.patches, sizes.side, sizes.tall, sizes.short
    begin = first_of_tile(tiles.begin, geometry.tiles, tall, short)
    clear_channels(
        arrays.grad_input, geometry, b, Range(begin, first_of_tile(tiles.end, geometry.tiles, tall, short))
    )  # fmt: skip
    end = (b + 1) * patches.rows * patches.columns
    for first in range(b * patches.rows * patches.columns, end, patches.stretch):
        own = Range(first, min(first + patches.stretch, end))
        for n in range(own.begin, own.end):
            target = Series(
                room.transformed.at + (n - first) * geometry.channels.outputs * LANES, room.transformed.step
            )  # fmt: skip
            transform_squares(arrays.delta, geometry, patch_of(n, patches, side), arrays.scratch, target, sizes)
        stretch = Stretch(arrays, geometry, sizes, room, own)
        some_tiles(add_tile, stretch, tiles.begin, tiles.end, geometry.tiles, tall, short)


@outer_kernel
def add_share(worker, batch, arrays, plain, form):
    """Write a worker's share of the gradient: blocks of images, and of each a bundle of channels."""
    geometry, sizes = geometry_of(plain), Sizes(*form)
    room, (blocks, bundles, workers) = input_room(worker, geometry, sizes), batch
    begin, end = share(worker, workers, blocks * bundles)
    for unit in range(begin, end):
        first, last = share(unit % bundles, bundles, geometry.tiles.tall + geometry.tiles.short)
        add_block(arrays, geometry, sizes, room, unit // bundles, Range(first, last))


@parallel_kernel
def add_patches(delta, weights, grad_input, scratch, blocks, bundles, workers, geometry, sizes):
    """Write the gradient of the input of the first `blocks` blocks, with filters from `transform_filters`.

    Parameters
    ----------
    delta, grad_input : 1-D array, float32 or float64
    weights : 1-D array
        As (p, tile of channels, filter, channel in tile).
    scratch : 1-D array
        An `input_room` per worker.
    blocks, bundles, workers : int
        Any numbers of bundles and workers give the same bits. Each of the bundles of channels transforms the delta for
        itself.
    geometry, sizes : tuple
        Geometry, of the forward pass, with tiles of the layer's input channels; and Sizes. All that they contain comes
        as plain tuples.
    """
    rows, columns, channels, patches, tiles = geometry  # apart: tuples in tuples do not enter a parallel loop
    patch, side, vectors, tall, short = sizes
    for index in prange(workers):
        arrays = Arrays(memory(delta), memory(weights), memory(grad_input), memory(scratch))
        plain, form = (rows, columns, channels, patches, tiles), (patch, side, vectors, tall, short)
        add_share(np.intp(index), (blocks, bundles, workers), arrays, plain, form)
