"""Winograd's transform of the delta, A delta At, square by square; letters and layout as in `kernels.winograd`.

Backward to the input a lane is an image, as everywhere. Backward to the weights, products are summed over lanes: there
the delta is transposed first, so that 16 filters make a vector, and its transform lies as (p, square, lane, filter).
"""

from __future__ import annotations

from cnntrain.kernels.compiler.jit import kernel, outer_kernel, shared
from cnntrain.kernels.lanes import constant, load, store, store_transposed
from cnntrain.kernels.winograd import Series, square_of, store_places
from cnntrain.kernels.winograd_images import pixel
from cnntrain.kernels.winograd_matrices import delta_part
from cnntrain.shape import LANES


@kernel
def load_side(scratch, at, step, side):
    """Return a row of A delta, or a column of a transposed square, filled up to four."""
    a, b = load(scratch, at), load(scratch, at + step)
    if len(side) == 2:
        return a, b, a, a
    return a, b, load(scratch, at + 2 * step), load(scratch, at + 3 * step)


@kernel
def transform_rows(scratch, places, sizes):
    """Multiply the rows of A delta with At: they lie where the first places of each row of the result go."""
    (at, step), patch, side = places, sizes.patch, sizes.side
    for _ in range(len(patch)):
        a, b, c, d = load_side(scratch, at, step, side)
        store_places(scratch, at, step, delta_part(a, b, c, d, patch, side))
        at += len(patch) * step


@kernel
def pixel_column(delta, at, step, down, inside, patch, side):
    """Multiply A with a column of a square, of which `down` rows are in the image if it is `inside`."""
    a, b = pixel(delta, at, inside, (0,)), pixel(delta, at + step, inside and down > 1, (0,))
    if len(side) == 2:
        return delta_part(a, b, a, a, patch, side)
    c = pixel(delta, at + 2 * step, inside and down > 2, (0,))
    d = pixel(delta, at + 3 * step, inside and down > 3, (0,))
    return delta_part(a, b, c, d, patch, side)


@kernel
def transform_square(delta, square, scratch, places, sizes):
    """Write A delta At of a square of one filter, of 16 images."""
    at, width, line, down, right = square
    for s in range(len(sizes.side)):
        column = pixel_column(delta, at + s * width, line, down, s < right, sizes.patch, sizes.side)
        store_places(scratch, places.at + s * places.step, len(sizes.patch) * places.step, column)
    transform_rows(scratch, places, sizes)


@outer_kernel
def transform_squares(delta, geometry, patch, scratch, target, sizes):
    """Write A delta At of a patch's squares of all filters, side by side."""
    for k in range(geometry.channels.outputs):
        places = Series(target.at + k * LANES, target.step)
        transform_square(delta, square_of(patch, k, geometry), scratch, places, sizes)


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
def transform_transposed(scratch, midway_at, places, lane_step, sizes):
    """Write A delta At of a transposed square; the places of the next lane begin `lane_step` further."""
    pixel_size, patch, side = LANES * LANES, sizes.patch, sizes.side
    for lane in range(LANES):
        at, to = midway_at + lane * LANES, places.at + lane * lane_step
        for s in range(len(side)):
            a, b, c, d = load_side(scratch, at + s * pixel_size, len(side) * pixel_size, side)
            column = delta_part(a, b, c, d, patch, side)
            store_places(scratch, to + s * places.step, len(patch) * places.step, column)
        transform_rows(scratch, Series(to, places.step), sizes)


@outer_kernel
def transform_transposed_squares(delta, geometry, patch, scratch, target, filled, midway_at, sizes):
    """Write A delta At of a patch's squares as (lane, filter), filters filled up to `filled`.

    Where filters end within a vector, it holds the last 16 filters, and so do those behind it.
    """
    for v in range(0, filled, LANES):
        k = min(v, geometry.channels.outputs - LANES)
        transpose_square(delta, square_of(patch, k, geometry), scratch, midway_at, sizes.side)
        transform_transposed(scratch, midway_at, Series(target.at + v, target.step), filled, sizes)
