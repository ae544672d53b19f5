"""Winograd's algorithm a row of places at a time, for machines with many wide registers.

`kernels.winograd` passes the products of all 36 places through memory. Here a worker does one patch at a time, and of
it a row of six places at a time: it transforms the row for all channels, which fit the L1 cache, sums the products of a
few filters at the six places in registers, and multiplies these sums with A before they leave the registers. At has its
turn when all six rows are done. That halves the memory traffic, but each vector loaded serves four filters at most, and
all weights are read again for each patch: with the 16 registers of AVX2 it would be slower.

Letters, layout and dummy tuples as in `kernels.winograd`.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, kernel, parallel_kernel
from cnntrain.kernels.geometry import Axis, Tiles
from cnntrain.kernels.lanes import accumulate, load, splat, tile_store, tile_zero
from cnntrain.kernels.winograd import (
    COLUMNS,
    PLACES,
    SIDE,
    Patches,
    corner_of,
    output_part,
    place_size,
    store_output_line,
    transform_columns_of_run,
    transform_rows,
)
from cnntrain.shape import LANES


@inlined_kernel
def correlate_row(scratch, x, step, inputs, weights, w, size, to, to_step, square, filters):
    """Write a row of M A for a tile of filters: the products at its six places, summed over the inputs, times A."""
    a = b = c = d = e = f = tile_zero(scratch, (0,), filters)
    for _ in range(inputs):
        a = accumulate(a, scratch, x, step, weights, w, 1)
        b = accumulate(b, scratch, x + step, step, weights, w + size, 1)
        c = accumulate(c, scratch, x + 2 * step, step, weights, w + 2 * size, 1)
        d = accumulate(d, scratch, x + 3 * step, step, weights, w + 3 * size, 1)
        e = accumulate(e, scratch, x + 4 * step, step, weights, w + 4 * size, 1)
        f = accumulate(f, scratch, x + 5 * step, step, weights, w + 5 * size, 1)
        x += LANES
        w += len(filters)
    y0, y1, y2, y3 = output_part(a, b, c, d, e, f, square)
    tile_store(scratch, to, to_step, LANES, y0)
    tile_store(scratch, to + to_step, to_step, LANES, y1)
    if len(square) == 4:
        tile_store(scratch, to + 2 * to_step, to_step, LANES, y2)
        tile_store(scratch, to + 3 * to_step, to_step, LANES, y3)


@kernel
def store_column(scratch, at, step, output, to, to_step, down, bias, square):
    """Multiply At with a column of M A and write `down` outputs of it, plus bias."""
    a, b, c = load(scratch, at), load(scratch, at + step), load(scratch, at + 2 * step)
    d, e, f = load(scratch, at + 3 * step), load(scratch, at + 4 * step), load(scratch, at + 5 * step)
    store_output_line(output, to, to_step, down, bias, a, b, c, d, e, f, square)


@kernel
def store_square_of_rows(scratch, at, part, output, to, width, line, down, right, bias, outputs, square):
    """Write the outputs of a patch: `down` rows of `right`, of all filters."""
    step = len(square) * part
    for k in range(outputs):
        number = splat(bias[k])
        store_column(scratch, at, step, output, to, line, down, number, square)
        if right > 1:
            store_column(scratch, at + part, step, output, to + width, line, down, number, square)
        if len(square) == 4:
            if right > 2:
                store_column(scratch, at + 2 * part, step, output, to + 2 * width, line, down, number, square)
            if right > 3:
                store_column(scratch, at + 3 * part, step, output, to + 3 * width, line, down, number, square)
        at += LANES
        to += LANES


@parallel_kernel
def correlate_rows(
    image, weights, bias, output, scratch, workers, blocks, inputs, outputs, geometry, square, tall, short
):  # fmt: skip
    """Do what `kernels.winograd.correlate_patches` does, with the same parameters.

    The patches' stretch does not count. Per worker, `scratch` has room for six places of all inputs, for six rows of
    products of all outputs, and for Bt d of patches side by side.
    """
    rows, columns = Axis(*geometry[0]), Axis(*geometry[1])
    patches, tiles = Patches(*geometry[2]), Tiles(*geometry[3])
    total = blocks * patches.rows * patches.columns
    size = weights.size // PLACES
    step, part = place_size(1, inputs), place_size(1, outputs)
    width, line = outputs * LANES, columns.count * outputs * LANES
    for index in prange(workers):
        worker = np.intp(index)
        row_at = worker * (scratch.size // workers)
        products_at = row_at + SIDE * step
        room = products_at + SIDE * len(square) * part
        n, end = worker * total // workers, (worker + 1) * total // workers
        while n < end:
            b, i, j = corner_of(n, patches, square)
            count = min(min(end - n, patches.columns - n % patches.columns), 1 + (COLUMNS - SIDE) // len(square))
            transform_columns_of_run(
                image, b, i, j, count, rows, columns, inputs, np.intp(0), inputs, scratch, room, step, square
            )
            for m in range(count):
                for r in range(SIDE):
                    x = room + (m * len(square) * SIDE + r) * step
                    transform_rows(scratch, x, SIDE * step, inputs, row_at, step)
                    w, to = r * SIDE * size, products_at + r * len(square) * part
                    for _ in range(tiles.tall):
                        correlate_row(scratch, row_at, step, inputs, weights, w, size, to, part, square, tall)
                        w += inputs * len(tall)
                        to += len(tall) * LANES
                    for _ in range(tiles.short):
                        correlate_row(scratch, row_at, step, inputs, weights, w, size, to, part, square, short)
                        w += inputs * len(short)
                        to += len(short) * LANES
                right = columns.count - j - m * len(square)
                to = (b * rows.count + i) * line + (j + m * len(square)) * width
                store_square_of_rows(
                    scratch, products_at, part, output, to, width, line, rows.count - i, right, bias, outputs, square
                )
            n += count
