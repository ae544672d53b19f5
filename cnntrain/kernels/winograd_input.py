"""Backward to the input by Winograd's algorithm; letters, layout and sizes as in `kernels.winograd`.

The outputs Y are linear in the patch d, so its gradient is the transposed map of the delta:

    dL/dd = B [ sum over filters of (G g Gt) * (A delta At) ] Bt

Patches overlap, and what they share is added. The full convolution of the delta is the same sum, and may be computed by
`kernels.winograd_patches`; but where images are not padded the delta is smaller than the image, so that here fewer
patches do: 16 instead of 36 for 5x5 filters on 12x12 pixels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel, shared
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.lanes import constant, load, store
from cnntrain.kernels.winograd import (
    PATCH_SIDE,
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
    pixel_at,
    row_of,
    store_six,
)
from cnntrain.kernels.winograd_deltas import transform_squares
from cnntrain.kernels.winograd_matrices import pixel_part
from cnntrain.kernels.winograd_patches import Room, Stretch, multiply_places, products_of, stretch_room
from cnntrain.kernels.work import first_of_tile, share, some_tiles
from cnntrain.shape import LANES


class Arrays(NamedTuple):
    """What `add_patches` reads and writes."""

    delta: Any
    weights: Any
    grad_input: Any
    scratch: Any


class Work(NamedTuple):
    """What a worker works on."""

    arrays: Arrays
    geometry: Geometry
    sizes: Sizes
    room: Room


@shared
def input_room(worker, geometry, sizes):
    """Return a worker's room for `add_patches`; B M of a tile's channels is midway."""
    midway = len(sizes.tall) * PLACES * LANES
    return stretch_room(worker, geometry, geometry.channels.outputs, sizes, midway)


@kernel
def six_parts(scratch, series):
    """Multiply B with six lane vectors."""
    a, b, c, d, e, f = load_six(scratch, series)
    return pixel_part(a, b, c, d, e, f)


@kernel
def midway_of(midway_at, f):
    """Return where the places of B M of channel f of a tile lie."""
    return Series(midway_at + f * PLACES * LANES, LANES)


@kernel
def multiply_columns(scratch, products, midway_at, count):
    """Write B M of a patch, for the `count` channels of a tile."""
    for s in range(PATCH_SIDE):
        for f in range(count):
            parts = six_parts(scratch, moved(column_of(products, s), f * LANES))
            store_six(scratch, column_of(midway_of(midway_at, f), s), parts)


@kernel
def add_pixel(grad_input, at, inside, value):
    """Add a lane vector to a pixel, if it is in the image."""
    if inside:
        store(grad_input, at, load(grad_input, at) + value)


@kernel
def add_row(grad_input, pixels, column, size, values):
    """Add six lane vectors to the pixels from `column` on, those that are in an image of `size` columns."""
    at, width = pixels.at, pixels.step
    add_pixel(grad_input, at, 0 <= column < size, values[0])
    add_pixel(grad_input, at + width, 0 <= column + 1 < size, values[1])
    add_pixel(grad_input, at + 2 * width, 0 <= column + 2 < size, values[2])
    add_pixel(grad_input, at + 3 * width, 0 <= column + 3 < size, values[3])
    add_pixel(grad_input, at + 4 * width, 0 <= column + 4 < size, values[4])
    add_pixel(grad_input, at + 5 * width, 0 <= column + 5 < size, values[5])


@kernel
def add_rows(arrays, geometry, patch, midway_at, c, count):
    """Add B M Bt to the pixels of a patch, for `count` channels from c on."""
    rows, columns = geometry.rows, geometry.columns
    row, column = patch.i + rows.offset, patch.j + columns.offset
    for r in range(PATCH_SIDE):
        if 0 <= row + r < rows.input_size:
            at = pixel_at(geometry, patch.b, row + r, column) + c * LANES
            for f in range(count):
                pixels = Series(at + f * LANES, geometry.channels.inputs * LANES)
                parts = six_parts(arrays.scratch, row_of(midway_of(midway_at, f), r))
                add_row(arrays.grad_input, pixels, column, columns.input_size, parts)


@kernel
def add_tile(stretch, c, channels):
    """Add what a stretch's squares give to the channels c ... of a tile."""
    arrays, geometry, sizes, room = stretch.arrays, stretch.geometry, stretch.sizes, stretch.room
    outputs, products = geometry.channels.outputs, products_of(room, sizes.vectors, channels)
    for n in range(stretch.patches.begin, stretch.patches.end, len(sizes.vectors)):
        source = moved(room.transformed, (n - stretch.patches.begin) * outputs * LANES)
        multiply_places(
            arrays.scratch, source, outputs, arrays.weights, outputs * c, products, sizes.vectors, channels
        )  # fmt: skip
        for m in range(n, min(n + len(sizes.vectors), stretch.patches.end)):
            patch = patch_of(m, geometry.patches, sizes.side)
            places = moved(products, (m - n) * len(channels) * LANES)
            multiply_columns(arrays.scratch, places, room.midway, len(channels))
            add_rows(arrays, geometry, patch, room.midway, c, len(channels))


@kernel
def clear_channels(grad_input, geometry, b, channels):
    """Write zeros to some channels of a block's pixels."""
    width = geometry.channels.inputs * LANES
    for pixel in range(pixel_at(geometry, b, 0, 0), pixel_at(geometry, b + 1, 0, 0), width):
        for c in range(channels.begin, channels.end):
            store(grad_input, pixel + c * LANES, constant(grad_input, 0))


@kernel
def add_block(work, b, tiles):
    """Write the gradient of a block of images, for some tiles of channels."""
    arrays, geometry, sizes, room = work
    channels = Range(
        first_of_tile(tiles.begin, geometry.tiles, sizes.tall, sizes.short),
        first_of_tile(tiles.end, geometry.tiles, sizes.tall, sizes.short),
    )
    clear_channels(arrays.grad_input, geometry, b, channels)
    image = geometry.patches.rows * geometry.patches.columns
    for first in range(b * image, (b + 1) * image, geometry.patches.stretch):
        patches = Range(first, min(first + geometry.patches.stretch, (b + 1) * image))
        for n in range(patches.begin, patches.end):
            target = moved(room.transformed, (n - first) * geometry.channels.outputs * LANES)
            patch = patch_of(n, geometry.patches, sizes.side)
            transform_squares(arrays.delta, geometry, patch, arrays.scratch, target, sizes.side)
        stretch = Stretch(arrays, geometry, sizes, room, patches)
        some_tiles(add_tile, stretch, tiles.begin, tiles.end, geometry.tiles, sizes.tall, sizes.short)


@parallel_kernel
def add_patches(delta, weights, grad_input, scratch, workers, blocks, bundles, geometry, sizes):
    """Write the gradient of the input of the first `blocks` blocks, with filters from `transform_filters`.

    Parameters
    ----------
    delta, grad_input : 1-D array, float32 or float64
    weights : 1-D array
        As (p, tile of channels, filter, channel in tile).
    scratch : 1-D array
        An `input_room` per worker.
    workers, bundles : int
        Any numbers give the same bits. Each of the bundles of channels transforms the delta for itself.
    geometry, sizes : tuple
        Geometry, of the forward pass, with tiles of the layer's input channels; and Sizes. All that they contain comes
        as plain tuples.
    """
    rows, columns, channels = Axis(*geometry[0]), Axis(*geometry[1]), Channels(*geometry[2])
    patches, tiles = Patches(*geometry[3]), Tiles(*geometry[4])
    side, vectors, tall, short = sizes
    for index in prange(workers):
        whole, form = Geometry(rows, columns, channels, patches, tiles), Sizes(side, vectors, tall, short)
        room = input_room(np.intp(index), whole, form)
        work = Work(Arrays(delta, weights, grad_input, scratch), whole, form, room)
        begin, end = share(np.intp(index), workers, blocks * bundles)
        for unit in range(begin, end):
            first, last = share(unit % bundles, bundles, tiles.tall + tiles.short)
            add_block(work, unit // bundles, Range(first, last))
