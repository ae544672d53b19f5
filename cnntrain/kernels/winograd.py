"""Convolution with 3x3 filters, stride 1, by Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray 2016).

Four outputs of a 2x2 square depend on a 4x4 patch of the image. Computed tap by tap they take 36 multiplications per
pair of channel and filter; with

    Y = At [ (G g Gt) * (Bt d B) ] A      (* element by element; d patch, g filter, Y outputs, t: transposed)

          | 1  0 -1  0 |        |  1    0    0  |        | 1  1  1  0 |
    Bt =  | 0  1  1  0 |   G =  | 1/2  1/2  1/2 |   At = | 0  1 -1 -1 |
          | 0 -1  1  0 |        | 1/2 -1/2  1/2 |
          | 0  1  0 -1 |        |  0    0    1  |

they take 16. The sums over channels happen between the transforms: for each of the 16 places of the patch, one product
of a matrix of filters with a matrix of patches, in the same register tiles as everywhere. Bt and At are additions of
lane vectors. Rounding errors are of the size of the direct form's (docs/kernels.md); a NaN or infinity in the image
makes NaN of all outputs of its patches, also of those that do not see it.

Letters and layout as in `kernels.convolution`; t counts patches along a row, p the places 0 ... 15 of a patch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.jit import kernel, parallel_kernel
from cnntrain.kernels.simd import LANES, accumulate, constant, load, splat, store, tile_store, tile_zero

PLACES = 16


class Patches(NamedTuple):
    """How the outputs are cut: `rows` x `columns` squares of an image, in stretches of `stretch` squares of a row."""

    rows: int
    columns: int
    stretch: int


@kernel
def place_size(stretch, channels):
    """Return the distance of two places in scratch memory: a line more than they need.

    Powers of two would put the 16 places of a patch into the same few places of the cache.
    """
    return (stretch * channels + 1) * LANES


@kernel
def filter_part(a, b, c, half):
    """Multiply G with a column."""
    outer, inner = (a + c) * half, b * half
    return a, outer + inner, outer - inner, c


@kernel
def patch_part(a, b, c, d):
    """Multiply Bt with a column."""
    return a - c, b + c, c - b, b - d


@kernel
def output_part(a, b, c, d):
    """Multiply At with a column."""
    return a + b + c, b - c - d


@kernel
def filter_column(weight, order, at, step, half):
    """Multiply G with a column of a filter."""
    first, second, third = order[at], order[at + step], order[at + 2 * step]
    return filter_part(weight[np.uintp(first)], weight[np.uintp(second)], weight[np.uintp(third)], half)


@kernel
def store_filter_row(transformed, at, step, a, b, c, half):
    """Multiply a row of G g with Gt and write it."""
    e, f, g, h = filter_part(a, b, c, half)
    transformed[at] = e
    transformed[at + step] = f
    transformed[at + 2 * step] = g
    transformed[at + 3 * step] = h


@parallel_kernel
def transform_filters(weight, order, transformed, channels, tiles, height):
    """Write transformed[tile of filters, p, c, filter in tile] = G g Gt.

    order[r, s, tile of filters, c, filter in tile] says where in `weight` a number is; `height` is that of tall tiles.
    """
    tap = np.uintp(order.size // 9)
    half = weight.dtype.type(0.5)
    for index in prange(tiles.tall + tiles.short):
        tile = np.intp(index)
        begin = np.uintp((tile * height - max(tile - tiles.tall, 0)) * channels)
        size = np.uintp(channels * (height if tile < tiles.tall else height - 1))
        for at in range(begin, begin + size):
            a0, b0, c0, d0 = filter_column(weight, order, at, 3 * tap, half)
            a1, b1, c1, d1 = filter_column(weight, order, at + tap, 3 * tap, half)
            a2, b2, c2, d2 = filter_column(weight, order, at + 2 * tap, 3 * tap, half)
            place = begin * np.uintp(PLACES) + at - begin
            store_filter_row(transformed, place, size, a0, a1, a2, half)
            store_filter_row(transformed, place + 4 * size, size, b0, b1, b2, half)
            store_filter_row(transformed, place + 8 * size, size, c0, c1, c2, half)
            store_filter_row(transformed, place + 12 * size, size, d0, d1, d2, half)


@kernel
def pixel(image, at, inside, edge):
    """Read a lane vector of the image, or zeros where a patch at the edge hangs over it."""
    if len(edge) == 0 or inside:
        return load(image, at)
    return constant(image, 0)


@kernel
def patch_column(image, at, step, top, second, third, bottom, edge):
    """Multiply Bt with a column of a patch."""
    return patch_part(
        pixel(image, at, top, edge), pixel(image, at + step, second, edge), pixel(image, at + 2 * step, third, edge),
        pixel(image, at + 3 * step, bottom, edge),
    )  # fmt: skip


@kernel
def store_row(scratch, at, step, a, b, c, d):
    """Multiply a row of Bt d with B and write it."""
    e, f, g, h = patch_part(a, b, c, d)
    store(scratch, at, e)
    store(scratch, at + step, f)
    store(scratch, at + 2 * step, g)
    store(scratch, at + 3 * step, h)


@kernel
def reach(axis, i):
    """Tell whether row or column i is in the image."""
    return 0 <= i < axis.input_size


@kernel
def transform_patch(image, b, row, column, rows, columns, channels, first, last, scratch, at, place, edge):
    """Write Bt d B of channels `first` to `last` of the patch at (row, column).

    Place p of the first channel is written to scratch[at + p * place], the others behind it. Only
    where `edge` (a dummy tuple) is not empty the patch may hang over the image's edge.
    """
    r0, r1, r2, r3 = reach(rows, row), reach(rows, row + 1), reach(rows, row + 2), reach(rows, row + 3)
    s0, s1, s2, s3 = (
        reach(columns, column), reach(columns, column + 1), reach(columns, column + 2), reach(columns, column + 3)
    )  # fmt: skip
    width = channels * LANES
    step = columns.input_size * width
    source = ((b * rows.input_size + row) * columns.input_size + column) * width
    for c in range(first, last):
        x = source + c * LANES
        to = at + (c - first) * LANES
        a0, b0, c0, d0 = patch_column(image, x, step, r0 and s0, r1 and s0, r2 and s0, r3 and s0, edge)
        a1, b1, c1, d1 = patch_column(image, x + width, step, r0 and s1, r1 and s1, r2 and s1, r3 and s1, edge)
        a2, b2, c2, d2 = patch_column(image, x + 2 * width, step, r0 and s2, r1 and s2, r2 and s2, r3 and s2, edge)
        a3, b3, c3, d3 = patch_column(image, x + 3 * width, step, r0 and s3, r1 and s3, r2 and s3, r3 and s3, edge)
        store_row(scratch, to, place, a0, a1, a2, a3)
        store_row(scratch, to + 4 * place, place, b0, b1, b2, b3)
        store_row(scratch, to + 8 * place, place, c0, c1, c2, c3)
        store_row(scratch, to + 12 * place, place, d0, d1, d2, d3)


@kernel
def transform_patch_anywhere(image, b, row, column, rows, columns, channels, first, last, scratch, at, place):
    """As `transform_patch`, in the form that the patch needs."""
    if row >= 0 and row + 4 <= rows.input_size and column >= 0 and column + 4 <= columns.input_size:
        transform_patch(image, b, row, column, rows, columns, channels, first, last, scratch, at, place, ())
    else:
        transform_patch(image, b, row, column, rows, columns, channels, first, last, scratch, at, place, (0,))


@kernel
def output_row(scratch, at, place):
    """Load a row of M and multiply it with A."""
    return output_part(
        load(scratch, at), load(scratch, at + place), load(scratch, at + 2 * place), load(scratch, at + 3 * place)
    )


@kernel
def multiply_and_store(
    weights, bias, output, scratch, patches_at, products_at, b, i, j, t0, t1, k, w,
    rows, columns, inputs, outputs, stretch, pair, filters,
):  # fmt: skip
    """Do one tile of filters for a stretch of patches: the products of all places, then At M A."""
    place = place_size(stretch, len(filters))
    patch_place = place_size(stretch, inputs)
    for p in range(PLACES):
        for t in range(0, t1 - t0, len(pair)):
            tile = tile_zero(scratch, pair, filters)
            x = patches_at + p * patch_place + t * inputs * LANES
            at = w + p * inputs * len(filters)
            for _ in range(inputs):
                tile = accumulate(tile, scratch, x, inputs * LANES, weights, at, 1)
                x += LANES
                at += len(filters)
            tile_store(scratch, products_at + p * place + t * len(filters) * LANES, len(filters) * LANES, LANES, tile)
    width = outputs * LANES
    for t in range(t1 - t0):
        x = j + 2 * t
        for f in range(len(filters)):
            at = products_at + (t * len(filters) + f) * LANES
            a0, b0 = output_row(scratch, at, place)
            a1, b1 = output_row(scratch, at + 4 * place, place)
            a2, b2 = output_row(scratch, at + 8 * place, place)
            a3, b3 = output_row(scratch, at + 12 * place, place)
            upper_left, lower_left = output_part(a0, a1, a2, a3)
            upper_right, lower_right = output_part(b0, b1, b2, b3)
            more = splat(bias[k + f])
            target = ((b * rows.count + i) * columns.count + x) * width + (k + f) * LANES
            store(output, target, upper_left + more)
            if x + 1 < columns.count:
                store(output, target + width, upper_right + more)
            if i + 1 < rows.count:
                target += columns.count * width
                store(output, target, lower_left + more)
                if x + 1 < columns.count:
                    store(output, target + width, lower_right + more)


@parallel_kernel
def correlate_3x3(
    image, weights, bias, output, scratch, workers, blocks, rows, columns, inputs, outputs, patches, tiles,
    pair, tall, short,
):  # fmt: skip
    """Correlate the first `blocks` blocks with filters from `transform_filters`.

    Parameters
    ----------
    image, output : 1-D array, float32 or float64
    weights : 1-D array
    bias : 1-D array
        One number per output channel.
    scratch : 1-D array
        Room for `workers` stretches of patches and of products.
    rows, columns : Axis
        With stride, step and dilation 1, first 0 and three taps.
    workers : int
        Any number gives the same bits.
    inputs, outputs : int
        Channels.
    patches : Patches
    tiles : Tiles
        How the filters are cut.
    pair, tall, short : tuple of int
        Only their lengths count: patches side by side in a register tile, and the two tile heights.
    """
    stretches = (patches.columns + patches.stretch - 1) // patches.stretch
    units = blocks * patches.rows * stretches
    patch_place = place_size(patches.stretch, inputs)
    size = PLACES * (patch_place + place_size(patches.stretch, len(tall)))
    for index in prange(workers):
        worker = np.intp(index)
        patches_at = worker * size
        products_at = patches_at + PLACES * patch_place
        for unit in range(worker * units // workers, (worker + 1) * units // workers):
            t0 = unit % stretches * patches.stretch
            t1 = min(t0 + patches.stretch, patches.columns)
            i = unit // stretches % patches.rows * 2
            b = unit // (stretches * patches.rows)
            for t in range(t0, t1):
                transform_patch_anywhere(
                    image, b, i + rows.offset, 2 * t + columns.offset, rows, columns, inputs, np.intp(0), inputs,
                    scratch, patches_at + (t - t0) * inputs * LANES, patch_place,
                )  # fmt: skip
            k, w = np.intp(0), np.intp(0)
            for _ in range(tiles.tall):
                multiply_and_store(
                    weights, bias, output, scratch, patches_at, products_at, b, i, 2 * t0, t0, t1, k, w,
                    rows, columns, inputs, outputs, patches.stretch, pair, tall,
                )  # fmt: skip
                k += len(tall)
                w += PLACES * inputs * len(tall)
            for _ in range(tiles.short):
                multiply_and_store(
                    weights, bias, output, scratch, patches_at, products_at, b, i, 2 * t0, t0, t1, k, w,
                    rows, columns, inputs, outputs, patches.stretch, pair, short,
                )  # fmt: skip
                k += len(short)
                w += PLACES * inputs * len(short)
