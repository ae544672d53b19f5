"""Convolution with 3x3 or 5x5 filters, stride 1, by Winograd's minimal filtering (Lavin and Gray 2016).

A patch of 6x6 pixels contains all that 4x4 outputs of a 3x3 filter depend on, or 2x2 outputs of a 5x5 filter. Computed
tap by tap they take 144 or 100 multiplications per pair of channel and filter; with

    Y = At [ (G g Gt) * (Bt d B) ] A      (* element by element; d patch, g filter, Y outputs, t: transposed)

they take 36, one per place of the patch. The sums over channels happen between the transforms: for each place, one
product of a matrix of filters with a matrix of patches, in the same register tiles as everywhere. A transform is a few
additions and multiplications of lane vectors.

The algorithm multiplies polynomials by their values at the points 0, 1, -1, 1/2, -2 and infinity. These six round
better than the usual ones with +-2 (Barabasz et al. 2020); how well is said in docs/kernels.md. Bt is the same for both
sizes. A NaN or infinity in the image makes NaN or infinity of the outputs of its patches, also of those that do not see
it.

Letters and layout as in `kernels.convolution`; n counts patches of the batch, p the places 0 ... 35 of a patch.
`square` is a dummy tuple: its length is 4 for filters with 3x3 taps, 2 for 5x5.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.geometry import Axis, Tiles
from cnntrain.kernels.lanes import accumulate, constant, fma, load, splat, store, tile_store, tile_zero
from cnntrain.shape import LANES

SIDE = 6  # pixels of a patch's side
PLACES = SIDE * SIDE
CHUNK = 16  # channels that are transformed at a time, column by column and then row by row
COLUMNS = 10  # columns at a time: two patches side by side with 3x3 taps, three with 5x5
ROOM = COLUMNS * SIDE * CHUNK * LANES


class Patches(NamedTuple):
    """How the outputs are cut: `rows` x `columns` squares of an image, `stretch` squares of the batch at a time."""

    rows: int
    columns: int
    stretch: int


@kernel
def place_size(stretch, channels):
    """Return the distance of two places in scratch memory: a line more than they need.

    Powers of two would put the places of a patch into the same few places of the cache.
    """
    return (stretch * channels + 1) * LANES


@kernel
def corner_of(patch, patches, square):
    """Return the block, and the row and column of the first output, of a patch's square."""
    row = patch // patches.columns
    return row // patches.rows, row % patches.rows * len(square), patch % patches.columns * len(square)


@kernel
def patch_part(a, b, c, d, e, f):
    """Multiply Bt with a column.

         | 1  -3/2  -2   3/2   1   0 |
         | 0   -1   1/2  5/2   1   0 |
    Bt = | 0    1  -5/2  1/2   1   0 |
         | 0   -2   -1    2    1   0 |
         | 0   1/2  -1  -1/2   1   0 |
         | 0    1  -3/2  -2   3/2  1 |
    """
    more = constant(a, 1.5)
    p, q = d - b, e - c
    v, w = fma(more, d, q), fma(more, c, p)
    return (
        fma(more, p, q - (c - a)), v + w, v - w, fma(constant(a, 2), p, q), fma(constant(a, -0.5), p, q),
        fma(more, q, (f - d) - p),
    )  # fmt: skip


@kernel
def output_part(a, b, c, d, e, f, square):
    """Multiply At with a column: as many of these rows as squares have, and f is added to the last of them.

         | 1  1   1   1    1  0 |
    At = | 0  1  -1  1/2  -2  0 |
         | 0  1   1  1/4   4  0 |
         | 0  1  -1  1/8  -8  0 |
    """
    even, odd = b + c, b - c
    y0 = (a + even) + (d + e)
    y1 = fma(constant(a, 0.5), d, fma(constant(a, -2), e, odd))
    y2 = fma(constant(a, 0.25), d, fma(constant(a, 4), e, even))
    y3 = fma(constant(a, 0.125), d, fma(constant(a, -8), e, odd))
    if len(square) == 2:
        return y0, y1 + f, y2, y3
    return y0, y1, y2, y3 + f


@kernel
def store_six(scratch, at, step, values):
    """Write six lane vectors."""
    store(scratch, at, values[0])
    store(scratch, at + step, values[1])
    store(scratch, at + 2 * step, values[2])
    store(scratch, at + 3 * step, values[3])
    store(scratch, at + 4 * step, values[4])
    store(scratch, at + 5 * step, values[5])


@kernel
def filter_part(a, b, c, d, e, last):
    """Multiply G with a column of a filter; with three taps, d and e are 0.

    G has for each point p the row (1, p, p^2, ...) divided by the product of p's differences from the other points
    (1, 3, -3, -15/16 and 15), and for infinity (0, ..., 0, 1).
    """
    even, odd = (a + c) + e, b + d
    two, four, eight, sixteen = constant(a, 2), constant(a, 4), constant(a, 8), constant(a, 16)
    half = fma(sixteen, a, fma(eight, b, fma(four, c, fma(two, d, e))))
    minus_two = fma(sixteen, e, fma(four, c, a)) - fma(eight, d, two * b)
    return (
        a, (even + odd) / constant(a, 3), (odd - even) / constant(a, 3), half / constant(a, -15),
        minus_two / constant(a, 15), last,
    )  # fmt: skip


@kernel
def filter_column(packed, at, step, square):
    """Multiply G with a column of a filter."""
    a, b, c = load(packed, at), load(packed, at + step), load(packed, at + 2 * step)
    if len(square) == 4:
        return filter_part(a, b, c, constant(a, 0), constant(a, 0), c)
    e = load(packed, at + 4 * step)
    return filter_part(a, b, c, load(packed, at + 3 * step), e, e)


@kernel
def filter_row(a, b, c, d, e, square):
    """Multiply a row of G g with Gt."""
    return filter_part(a, b, c, d, e, c if len(square) == 4 else e)


@parallel_kernel
def transform_filters(packed, transformed, square):
    """Write transformed[p, i] = G g Gt for the filters packed[r, s, i], as many as a multiple of 16."""
    taps = SIDE + 1 - len(square)
    size = packed.size // (taps * taps)
    for index in prange(size // LANES):
        at = np.intp(index) * LANES
        step = taps * size
        x0 = filter_column(packed, at, step, square)
        x1 = filter_column(packed, at + size, step, square)
        x2 = filter_column(packed, at + 2 * size, step, square)
        nothing = constant(packed, 0)
        x3 = x4 = (nothing, nothing, nothing, nothing, nothing, nothing)
        if len(square) == 2:
            x3 = filter_column(packed, at + 3 * size, step, square)
            x4 = filter_column(packed, at + 4 * size, step, square)
        store_six(transformed, at, size, filter_row(x0[0], x1[0], x2[0], x3[0], x4[0], square))
        store_six(transformed, at + 6 * size, size, filter_row(x0[1], x1[1], x2[1], x3[1], x4[1], square))
        store_six(transformed, at + 12 * size, size, filter_row(x0[2], x1[2], x2[2], x3[2], x4[2], square))
        store_six(transformed, at + 18 * size, size, filter_row(x0[3], x1[3], x2[3], x3[3], x4[3], square))
        store_six(transformed, at + 24 * size, size, filter_row(x0[4], x1[4], x2[4], x3[4], x4[4], square))
        store_six(transformed, at + 30 * size, size, filter_row(x0[5], x1[5], x2[5], x3[5], x4[5], square))


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
def transform_columns(image, at, step, rows, count, scratch, to, to_step, edge):
    """Multiply Bt with a column of a patch, for `count` channels; `rows` of it are in the image."""
    for _ in range(count):
        a, b = pixel(image, at, rows[0], edge), pixel(image, at + step, rows[1], edge)
        c, d = pixel(image, at + 2 * step, rows[2], edge), pixel(image, at + 3 * step, rows[3], edge)
        e, f = pixel(image, at + 4 * step, rows[4], edge), pixel(image, at + 5 * step, rows[5], edge)
        store_six(scratch, to, to_step, patch_part(a, b, c, d, e, f))
        at += LANES
        to += LANES


@kernel
def transform_rows(scratch, at, step, count, to, to_step):
    """Multiply a row of Bt d with B, for `count` channels."""
    for _ in range(count):
        a, b, c = load(scratch, at), load(scratch, at + step), load(scratch, at + 2 * step)
        d, e, f = load(scratch, at + 3 * step), load(scratch, at + 4 * step), load(scratch, at + 5 * step)
        store_six(scratch, to, to_step, patch_part(a, b, c, d, e, f))
        at += LANES
        to += LANES


@kernel
def transform_columns_of_run(image, b, i, j, count, rows, columns, channels, c, group, scratch, room, step, square):
    """Write Bt d of `count` patches side by side, from output (i, j) on, for `group` channels from c on.

    The result at (column, row) is written to scratch[room + (6 column + row) step], computed once for the columns that
    neighbours share. With as many channels as a power of two all pixels lie in the same few places of the L1 cache: no
    more than a column of six may be read at a time.
    """
    row, column = i + rows.offset, j + columns.offset
    r = reach(rows, row)
    inside = row >= 0 and row + SIDE <= rows.input_size
    width = channels * LANES
    at = ((b * rows.input_size + row) * columns.input_size + column) * width + c * LANES
    to = room
    for s in range((count - 1) * len(square) + SIDE):
        if not 0 <= column + s < columns.input_size:
            for n in range(SIDE):
                for m in range(group):
                    store(scratch, to + n * step + m * LANES, constant(scratch, 0))
        elif inside:
            transform_columns(image, at, columns.input_size * width, r, group, scratch, to, step, ())
        else:
            transform_columns(image, at, columns.input_size * width, r, group, scratch, to, step, (0,))
        at += width
        to += SIDE * step


@kernel
def transform_run(image, b, i, j, count, rows, columns, channels, first, last, scratch, at, place, room, square):
    """Write Bt d B of `count` patches side by side; Bt d passes through scratch[room:], a few channels at a time."""
    step = CHUNK * LANES
    for c in range(first, last, CHUNK):
        group = min(last - c, CHUNK)
        transform_columns_of_run(image, b, i, j, count, rows, columns, channels, c, group, scratch, room, step, square)
        for n in range(count):
            x, to = room + n * len(square) * SIDE * step, at + (n * (last - first) + c - first) * LANES
            for _ in range(SIDE):
                transform_rows(scratch, x, SIDE * step, group, to, place)
                x += step
                to += SIDE * place


@kernel
def transform_patches(
    image, begin, end, rows, columns, patches, channels, first, last, scratch, at, place, room, square
):
    """Write Bt d B of channels `first` to `last` of the patches `begin` to `end`.

    Place p of the first channel of the first patch is written to scratch[at + p * place], the other channels behind it,
    then the other patches.
    """
    n = begin
    while n < end:
        b, i, j = corner_of(n, patches, square)
        count = min(min(end - n, patches.columns - n % patches.columns), 1 + (COLUMNS - SIDE) // len(square))
        to = at + (n - begin) * (last - first) * LANES
        transform_run(image, b, i, j, count, rows, columns, channels, first, last, scratch, to, place, room, square)
        n += count


@kernel
def output_column(scratch, at, place, square):
    """Multiply At with a column of M."""
    return output_part(
        load(scratch, at), load(scratch, at + 6 * place), load(scratch, at + 12 * place),
        load(scratch, at + 18 * place), load(scratch, at + 24 * place), load(scratch, at + 30 * place), square,
    )  # fmt: skip


@kernel
def store_output_line(output, at, width, count, bias, a, b, c, d, e, f, square):
    """Multiply At with a column, or a row with A, and write `count` outputs of it, `width` apart, plus bias."""
    row = output_part(a, b, c, d, e, f, square)
    store(output, at, row[0] + bias)
    if count > 1:
        store(output, at + width, row[1] + bias)
    if len(square) == 4:
        if count > 2:
            store(output, at + 2 * width, row[2] + bias)
        if count > 3:
            store(output, at + 3 * width, row[3] + bias)


@kernel
def store_square(scratch, at, place, output, to, width, step, down, right, bias, square):
    """Write At M A, plus bias: `down` rows of `right` outputs."""
    x0 = output_column(scratch, at, place, square)
    x1 = output_column(scratch, at + place, place, square)
    x2 = output_column(scratch, at + 2 * place, place, square)
    x3 = output_column(scratch, at + 3 * place, place, square)
    x4 = output_column(scratch, at + 4 * place, place, square)
    x5 = output_column(scratch, at + 5 * place, place, square)
    store_output_line(output, to, width, right, bias, x0[0], x1[0], x2[0], x3[0], x4[0], x5[0], square)
    if down > 1:
        to += step
        store_output_line(output, to, width, right, bias, x0[1], x1[1], x2[1], x3[1], x4[1], x5[1], square)
    if len(square) == 4:
        if down > 2:
            to += step
            store_output_line(output, to, width, right, bias, x0[2], x1[2], x2[2], x3[2], x4[2], x5[2], square)
        if down > 3:
            to += step
            store_output_line(output, to, width, right, bias, x0[3], x1[3], x2[3], x3[3], x4[3], x5[3], square)


@kernel
def multiply_places(scratch, x, x_place, inputs, weights, w, products_at, pair, filters):
    """Write the products of `len(pair)` patches and a tile of filters at all places, summed over the inputs.

    They are written as (place, patch, filter in tile), places a `place_size` apart.
    """
    size = weights.size // PLACES
    place = place_size(len(pair), len(filters))
    for p in range(PLACES):
        tile = tile_zero(scratch, pair, filters)
        left, right = x + p * x_place, w + p * size
        for _ in range(inputs):
            tile = accumulate(tile, scratch, left, inputs * LANES, weights, right, 1)
            left += LANES
            right += len(filters)
        tile_store(scratch, products_at + p * place, len(filters) * LANES, LANES, tile)


@kernel
def multiply_and_store(
    weights, bias, output, scratch, patches_at, products_at, first, last, k, w,
    rows, columns, inputs, outputs, patches, square, pair, filters,
):  # fmt: skip
    """Do one tile of filters for a stretch of patches: the products of all places, then At M A."""
    place = place_size(len(pair), len(filters))
    patch_place = place_size(patches.stretch, inputs)
    width = outputs * LANES
    for n in range(first, last, len(pair)):
        x = patches_at + (n - first) * inputs * LANES
        multiply_places(scratch, x, patch_place, inputs, weights, w, products_at, pair, filters)
        for m in range(n, min(n + len(pair), last)):
            b, i, j = corner_of(m, patches, square)
            to = ((b * rows.count + i) * columns.count + j) * width + k * LANES
            at = products_at + (m - n) * len(filters) * LANES
            for f in range(len(filters)):
                store_square(
                    scratch, at, place, output, to, width, columns.count * width, rows.count - i, columns.count - j,
                    splat(bias[k + f]), square,
                )  # fmt: skip
                to += LANES
                at += LANES


@parallel_kernel
def correlate_patches(
    image, weights, bias, output, scratch, workers, blocks, inputs, outputs, geometry, square, pair, tall, short
):  # fmt: skip
    """Correlate the first `blocks` blocks with filters from `transform_filters`.

    Parameters
    ----------
    image, output : 1-D array, float32 or float64
    weights : 1-D array
        As (p, tile of filters, c, filter in tile).
    bias : 1-D array
        One number per output channel.
    scratch : 1-D array
        Room for `workers` stretches of patches and of products.
    workers : int
        Any number gives the same bits.
    inputs, outputs : int
        Channels.
    geometry : tuple of (rows, columns, patches, tiles)
        Axis, Axis (with stride, step and dilation 1, first 0 and three or five taps), Patches and Tiles (how the
        filters are cut), each as a plain tuple.
    square, pair, tall, short : tuple of int
        Only their lengths count: outputs of a square's side, patches side by side in a register tile, and the two tile
        heights.
    """
    rows, columns = Axis(*geometry[0]), Axis(*geometry[1])
    patches, tiles = Patches(*geometry[2]), Tiles(*geometry[3])
    total = blocks * patches.rows * patches.columns
    units = (total + patches.stretch - 1) // patches.stretch
    patch_place = place_size(patches.stretch, inputs)
    products = PLACES * place_size(len(pair), len(tall))
    size = PLACES * patch_place + products + ROOM
    for index in prange(workers):
        worker = np.intp(index)
        patches_at = worker * size
        products_at = patches_at + PLACES * patch_place
        room = products_at + products
        for unit in range(worker * units // workers, (worker + 1) * units // workers):
            first = unit * patches.stretch
            last = min(first + patches.stretch, total)
            transform_patches(
                image, first, last, rows, columns, patches, inputs, np.intp(0), inputs,
                scratch, patches_at, patch_place, room, square,
            )  # fmt: skip
            k, w = np.intp(0), np.intp(0)
            for _ in range(tiles.tall):
                multiply_and_store(
                    weights, bias, output, scratch, patches_at, products_at, first, last, k, w,
                    rows, columns, inputs, outputs, patches, square, pair, tall,
                )  # fmt: skip
                k += len(tall)
                w += inputs * len(tall)
            for _ in range(tiles.short):
                multiply_and_store(
                    weights, bias, output, scratch, patches_at, products_at, first, last, k, w,
                    rows, columns, inputs, outputs, patches, square, pair, short,
                )  # fmt: skip
                k += len(short)
                w += inputs * len(short)
