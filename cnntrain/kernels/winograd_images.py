"""Winograd's transform of patches of an image, Bt d B; letters and layout as in `kernels.winograd`.

Neighbours in a row share columns: Bt d is computed once for as many as `columns_of` hold, a few channels at a time, and
written to a place *midway* through the transform, by columns: (column, row of Bt d, channel). Then rows of it meet B.
All 36 pixels at once would nearly fit the registers; but with as many channels as a power of two they lie in the same
few places of the L1 cache: no more than a column may be read at a time.
"""

from __future__ import annotations

from typing import NamedTuple

from cnntrain.kernels.compiler.jit import kernel, outer_kernel, shared
from cnntrain.kernels.lanes import constant, load, store
from cnntrain.kernels.winograd import (
    Patch,
    Range,
    Series,
    load_places,
    patch_of,
    pixel_at,
    store_places,
)
from cnntrain.kernels.winograd_matrices import patch_part
from cnntrain.shape import LANES

CHUNK = 16  # channels at a time


@shared
def columns_of(patch):
    """Return how many columns neighbours have: two patches side by side, or three with squares of two."""
    return len(patch) + 4


@shared
def midway_size(patch):
    """Return how many numbers Bt d of neighbours has."""
    return columns_of(patch) * len(patch) * CHUNK * LANES


class Neighbours(NamedTuple):
    """Patches side by side that are transformed together: the leftmost, and how many."""

    patch: Patch
    count: int  # type: ignore[assignment]  # hides the method of tuple, which nobody calls here


@kernel
def neighbours_of(n, end, patches, patch, side):
    """Return patch n with its neighbours on the right, all before patch `end`."""
    count = min(min(end - n, patches.columns - n % patches.columns), 1 + (columns_of(patch) - len(patch)) // len(side))
    return Neighbours(patch_of(n, patches, side), count)


@kernel
def pixel(image, at, inside, edge):
    """Read a lane vector of the image, or zeros where a patch at the edge hangs over it."""
    if len(edge) == 0 or inside:
        return load(image, at)
    return constant(image, 0)


@kernel
def load_column(image, source, axis, i, edge, patch):
    """Return a column of pixels, the first of which is number i of its axis."""
    at, step = source
    size = axis.input_size
    a = pixel(image, at, 0 <= i < size, edge)
    b = pixel(image, at + step, 0 <= i + 1 < size, edge)
    c = pixel(image, at + 2 * step, 0 <= i + 2 < size, edge)
    d = pixel(image, at + 3 * step, 0 <= i + 3 < size, edge)
    e = pixel(image, at + 4 * step, 0 <= i + 4 < size, edge)
    f = pixel(image, at + 5 * step, 0 <= i + 5 < size, edge)
    if len(patch) == 6:
        return a, b, c, d, e, f
    g = pixel(image, at + 6 * step, 0 <= i + 6 < size, edge)
    return a, b, c, d, e, f, g, pixel(image, at + 7 * step, 0 <= i + 7 < size, edge)


@kernel
def clear_column(scratch, target, count, patch):
    """Write zeros, which is what Bt makes of a column outside the image."""
    for r in range(len(patch)):
        for c in range(count):
            store(scratch, target.at + r * target.step + c * LANES, constant(scratch, 0))


@kernel
def transform_column(image, source, axis, i, scratch, target, count, edge, patch):
    """Multiply Bt with a column of pixels from number i of its axis on, for `count` channels."""
    (at, step), (to, to_step) = source, target
    for _ in range(count):
        column = load_column(image, Series(at, step), axis, i, edge, patch)
        store_places(scratch, to, to_step, patch_part(column))
        at += LANES
        to += LANES


@kernel
def transform_row(scratch, source, target, count, patch):
    """Multiply a row of Bt d with B, for `count` channels."""
    (at, step), (to, to_step) = source, target
    for _ in range(count):
        store_places(scratch, to, to_step, patch_part(load_places(scratch, at, step, patch)))
        at += LANES
        to += LANES


@kernel
def transform_columns(image, geometry, neighbours, channels, scratch, midway, sizes):
    """Write Bt d of neighbours, for some channels: row r of column s to midway.at + (s * side + r) * midway.step.

    The side is that of a patch.
    """
    rows, columns, first, patch = geometry.rows, geometry.columns, neighbours.patch, sizes.patch
    row, column = first.i + rows.offset, first.j + columns.offset
    inside = row >= 0 and row + len(patch) <= rows.input_size
    count, width = channels.end - channels.begin, geometry.channels.inputs * LANES
    at, to = pixel_at(geometry, first.b, row, column) + channels.begin * LANES, midway.at
    for s in range((neighbours.count - 1) * len(sizes.side) + len(patch)):
        source, target = Series(at, columns.input_size * width), Series(to, midway.step)
        if not 0 <= column + s < columns.input_size:
            clear_column(scratch, target, count, patch)
        elif inside:
            transform_column(image, source, rows, row, scratch, target, count, (), patch)
        else:
            transform_column(image, source, rows, row, scratch, target, count, (0,), patch)
        at += width
        to += len(patch) * midway.step


@outer_kernel
def transform_neighbours(image, geometry, neighbours, channels, scratch, target, midway_at, sizes):
    """Write Bt d B of neighbours, for some channels."""
    midway, patch = Series(midway_at, CHUNK * LANES), sizes.patch
    for c in range(channels.begin, channels.end, CHUNK):
        chunk = Range(c, min(c + CHUNK, channels.end))
        transform_columns(image, geometry, neighbours, chunk, scratch, midway, sizes)
        for n in range(neighbours.count):
            at = midway.at + n * len(sizes.side) * len(patch) * midway.step
            to = target.at + (n * (channels.end - channels.begin) + c - channels.begin) * LANES
            for _ in range(len(patch)):
                row = Series(at, len(patch) * midway.step)
                transform_row(scratch, row, Series(to, target.step), chunk.end - chunk.begin, patch)
                at += midway.step
                to += len(patch) * target.step


@outer_kernel
def transform_patches(image, geometry, patches, channels, scratch, target, midway_at, sizes):
    """Write Bt d B of some patches, for some channels.

    Parameters
    ----------
    patches, channels : Range
    scratch : memory
        Receives the result; room for `midway_size` numbers from `midway_at` on besides.
    target : Series
        The places of the first channel of the first patch; the other channels go behind it, then the other patches.
    """
    n = patches.begin
    while n < patches.end:
        neighbours = neighbours_of(n, patches.end, geometry.patches, sizes.patch, sizes.side)
        to = target.at + (n - patches.begin) * (channels.end - channels.begin) * LANES
        places = Series(to, target.step)
        transform_neighbours(image, geometry, neighbours, channels, scratch, places, midway_at, sizes)
        n += neighbours.count
