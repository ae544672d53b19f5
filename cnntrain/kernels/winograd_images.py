"""Winograd's transform of patches of an image, Bt d B; letters and layout as in `kernels.winograd`.

Neighbours in a row share columns: Bt d is computed once for as many as COLUMNS hold, a few channels at a time, and
written to a place *midway* through the transform, by columns: (column, row of Bt d, channel). Then rows of it meet B.
All 36 pixels at once would nearly fit the registers; but with as many channels as a power of two they lie in the same
few places of the L1 cache: no more than a column of six may be read at a time.
"""

from __future__ import annotations

from typing import NamedTuple

from cnntrain.kernels.compiler.jit import kernel, outer_kernel
from cnntrain.kernels.lanes import constant, load, store
from cnntrain.kernels.winograd import (
    PATCH_SIDE,
    Patch,
    Range,
    Series,
    load_six,
    patch_of,
    pixel_at,
    store_six,
)
from cnntrain.kernels.winograd_matrices import patch_part
from cnntrain.shape import LANES

COLUMNS = 10  # of neighbours: two patches side by side with 3x3 taps, three with 5x5
CHUNK = 16  # channels at a time
MIDWAY = COLUMNS * PATCH_SIDE * CHUNK * LANES  # numbers of Bt d


class Neighbours(NamedTuple):
    """Patches side by side that are transformed together: the leftmost, and how many."""

    patch: Patch
    count: int  # type: ignore[assignment]  # hides the method of tuple, which nobody calls here


@kernel
def neighbours_of(n, end, patches, side):
    """Return patch n with its neighbours on the right, all before patch `end`."""
    count = min(min(end - n, patches.columns - n % patches.columns), 1 + (COLUMNS - PATCH_SIDE) // len(side))
    return Neighbours(patch_of(n, patches, side), count)


@kernel
def pixel(image, at, inside, edge):
    """Read a lane vector of the image, or zeros where a patch at the edge hangs over it."""
    if len(edge) == 0 or inside:
        return load(image, at)
    return constant(image, 0)


@kernel
def reach(axis, i):
    """Tell which of the six rows or columns from i on are in the image."""
    size = axis.input_size
    return (
        0 <= i < size, 0 <= i + 1 < size, 0 <= i + 2 < size, 0 <= i + 3 < size, 0 <= i + 4 < size, 0 <= i + 5 < size
    )  # fmt: skip


@kernel
def clear_column(scratch, target, count):
    """Write zeros, which is what Bt makes of a column outside the image."""
    for r in range(PATCH_SIDE):
        for c in range(count):
            store(scratch, target.at + r * target.step + c * LANES, constant(scratch, 0))


@kernel
def transform_column(image, source, rows, scratch, target, count, edge):
    """Multiply Bt with a column of pixels, for `count` channels; `rows` tells which pixels are in the image."""
    (at, step), (to, to_step) = source, target
    for _ in range(count):
        a, b = pixel(image, at, rows[0], edge), pixel(image, at + step, rows[1], edge)
        c, d = pixel(image, at + 2 * step, rows[2], edge), pixel(image, at + 3 * step, rows[3], edge)
        e, f = pixel(image, at + 4 * step, rows[4], edge), pixel(image, at + 5 * step, rows[5], edge)
        store_six(scratch, to, to_step, patch_part(a, b, c, d, e, f))
        at += LANES
        to += LANES


@kernel
def transform_row(scratch, source, target, count):
    """Multiply a row of Bt d with B, for `count` channels."""
    (at, step), (to, to_step) = source, target
    for _ in range(count):
        a, b, c, d, e, f = load_six(scratch, at, step)
        store_six(scratch, to, to_step, patch_part(a, b, c, d, e, f))
        at += LANES
        to += LANES


@kernel
def transform_columns(image, geometry, neighbours, channels, scratch, midway, side):
    """Write Bt d of neighbours, for some channels: number r of column s to midway.at + (6 s + r) * midway.step."""
    rows, columns, patch = geometry.rows, geometry.columns, neighbours.patch
    row, column = patch.i + rows.offset, patch.j + columns.offset
    held = reach(rows, row)
    inside = row >= 0 and row + PATCH_SIDE <= rows.input_size
    count, width = channels.end - channels.begin, geometry.channels.inputs * LANES
    at, to = pixel_at(geometry, patch.b, row, column) + channels.begin * LANES, midway.at
    for s in range((neighbours.count - 1) * len(side) + PATCH_SIDE):
        source, target = Series(at, columns.input_size * width), Series(to, midway.step)
        if not 0 <= column + s < columns.input_size:
            clear_column(scratch, target, count)
        elif inside:
            transform_column(image, source, held, scratch, target, count, ())
        else:
            transform_column(image, source, held, scratch, target, count, (0,))
        at += width
        to += PATCH_SIDE * midway.step


@outer_kernel
def transform_neighbours(image, geometry, neighbours, channels, scratch, target, midway_at, side):
    """Write Bt d B of neighbours, for some channels."""
    midway = Series(midway_at, CHUNK * LANES)
    for c in range(channels.begin, channels.end, CHUNK):
        chunk = Range(c, min(c + CHUNK, channels.end))
        transform_columns(image, geometry, neighbours, chunk, scratch, midway, side)
        for n in range(neighbours.count):
            at = midway.at + n * len(side) * PATCH_SIDE * midway.step
            to = target.at + (n * (channels.end - channels.begin) + c - channels.begin) * LANES
            for _ in range(PATCH_SIDE):
                row = Series(at, PATCH_SIDE * midway.step)
                transform_row(scratch, row, Series(to, target.step), chunk.end - chunk.begin)
                at += midway.step
                to += PATCH_SIDE * target.step


@outer_kernel
def transform_patches(image, geometry, patches, channels, scratch, target, midway_at, side):
    """Write Bt d B of some patches, for some channels.

    Parameters
    ----------
    patches, channels : Range
    scratch : memory
        Receives the result; room for MIDWAY numbers from `midway_at` on besides.
    target : Series
        The places of the first channel of the first patch; the other channels go behind it, then the other patches.
    """
    n = patches.begin
    while n < patches.end:
        neighbours = neighbours_of(n, patches.end, geometry.patches, side)
        to = target.at + (n - patches.begin) * (channels.end - channels.begin) * LANES
        places = Series(to, target.step)
        transform_neighbours(image, geometry, neighbours, channels, scratch, places, midway_at, side)
        n += neighbours.count
