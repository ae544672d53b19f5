"""Winograd's transform of the delta, A delta At, square by square; letters and layout as in `kernels.winograd`.

Backward to the input a lane is an image, as everywhere. Backward to the weights, products are summed over lanes: there
the delta is transposed first, so that 16 filters make a vector, and its transform lies as (p, square, lane, filter).
"""

from __future__ import annotations

from cnntrain.kernels.compiler.jit import kernel, outer_kernel, shared
from cnntrain.kernels.lanes import constant, load, store, store_transposed
from cnntrain.kernels.winograd import Series, square_of, store_six
from cnntrain.kernels.winograd_images import pixel
from cnntrain.kernels.winograd_matrices import delta_part
from cnntrain.shape import LANES


@kernel
def store_rows(scratch, places, x0, x1, x2, x3, side):
    """Multiply the columns x0 ... of A delta with At and write the result by place."""
    at, step = places.at, places.step
    store_six(scratch, at, step, delta_part(x0[0], x1[0], x2[0], x3[0], side))
    store_six(scratch, at + 6 * step, step, delta_part(x0[1], x1[1], x2[1], x3[1], side))
    store_six(scratch, at + 12 * step, step, delta_part(x0[2], x1[2], x2[2], x3[2], side))
    store_six(scratch, at + 18 * step, step, delta_part(x0[3], x1[3], x2[3], x3[3], side))
    store_six(scratch, at + 24 * step, step, delta_part(x0[4], x1[4], x2[4], x3[4], side))
    store_six(scratch, at + 30 * step, step, delta_part(x0[5], x1[5], x2[5], x3[5], side))


@kernel
def pixel_column(delta, at, step, down, inside, side):
    """Multiply A with a column of a square, of which `down` rows are in the image if it is `inside`."""
    a, b = pixel(delta, at, inside, (0,)), pixel(delta, at + step, inside and down > 1, (0,))
    if len(side) == 2:
        return delta_part(a, b, a, a, side)
    c = pixel(delta, at + 2 * step, inside and down > 2, (0,))
    d = pixel(delta, at + 3 * step, inside and down > 3, (0,))
    return delta_part(a, b, c, d, side)


@kernel
def transform_square(delta, square, scratch, places, side):
    """Write A delta At of a square of one filter, of 16 images."""
    at, width, line, down, right = square
    x0 = pixel_column(delta, at, line, down, True, side)
    x1 = pixel_column(delta, at + width, line, down, right > 1, side)
    x2 = x3 = x1
    if len(side) == 4:
        x2 = pixel_column(delta, at + 2 * width, line, down, right > 2, side)
        x3 = pixel_column(delta, at + 3 * width, line, down, right > 3, side)
    store_rows(scratch, places, x0, x1, x2, x3, side)


@outer_kernel
def transform_squares(delta, geometry, patch, scratch, target, side):
    """Write A delta At of a patch's squares of all filters, side by side."""
    for k in range(geometry.channels.outputs):
        transform_square(
            delta, square_of(patch, k, geometry), scratch, Series(target.at + k * LANES, target.step), side
        )


@shared
def transposed_size(side):
    """Return how many numbers a square of 16 filters and 16 images has."""
    return len(side) * len(side) * LANES * LANES


@kernel
def transpose_square(delta, square, scratch, midway_at, side):
    """Write a square as (row, column, lane, filter), for 16 filters; what hangs over the edge is zero."""
    for r in range(len(side)):
        for s in range(len(side)):
            to = midway_at + (r * len(side) + s) * LANES * LANES
            if r < square.down and s < square.right:
                store_transposed(scratch, to, LANES, delta, square.at + r * square.line + s * square.step, LANES)
            else:
                for lane in range(LANES):
                    store(scratch, to + lane * LANES, constant(scratch, 0))


@kernel
def transposed_column(scratch, at, step, side):
    """Multiply A with a column of a transposed square, for one lane and 16 filters."""
    a, b = load(scratch, at), load(scratch, at + step)
    if len(side) == 2:
        return delta_part(a, b, a, a, side)
    return delta_part(a, b, load(scratch, at + 2 * step), load(scratch, at + 3 * step), side)


@kernel
def transform_transposed(scratch, midway_at, places, lane_step, side):
    """Write A delta At of a transposed square; the places of the next lane begin `lane_step` further."""
    pixel_size = LANES * LANES
    line = len(side) * pixel_size
    for lane in range(LANES):
        at = midway_at + lane * LANES
        x0 = transposed_column(scratch, at, line, side)
        x1 = transposed_column(scratch, at + pixel_size, line, side)
        x2 = x3 = x1
        if len(side) == 4:
            x2 = transposed_column(scratch, at + 2 * pixel_size, line, side)
            x3 = transposed_column(scratch, at + 3 * pixel_size, line, side)
        store_rows(scratch, Series(places.at + lane * lane_step, places.step), x0, x1, x2, x3, side)


@outer_kernel
def transform_transposed_squares(delta, geometry, patch, scratch, target, filled, midway_at, side):
    """Write A delta At of a patch's squares as (lane, filter), filters filled up to `filled`.

    Where filters end within a vector, it holds the last 16 filters, and so do those behind it.
    """
    for v in range(0, filled, LANES):
        k = min(v, geometry.channels.outputs - LANES)
        transpose_square(delta, square_of(patch, k, geometry), scratch, midway_at, side)
        transform_transposed(scratch, midway_at, Series(target.at + v, target.step), filled, side)
