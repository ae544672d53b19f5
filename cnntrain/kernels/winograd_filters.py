"""Winograd's transform of filters, G g Gt; letters as in `kernels.winograd`.

Filters g[r, s] of all pairs of channel and filter are packed as (r, s, i), and become (p, i). The numbers i are in the
order in which products read them: (tile, c, filter of the tile), filled up to whole vectors.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel, shared
from cnntrain.kernels.lanes import constant, load
from cnntrain.kernels.winograd import PATCH_SIDE, PLACES, store_six
from cnntrain.kernels.winograd_matrices import filter_part
from cnntrain.shape import LANES


@shared
def taps_of(side):
    """Return the taps of a filter's side."""
    return PATCH_SIDE + 1 - len(side)


@shared
def filters_place(inputs, outputs):
    """Return how many numbers a tap of all filters has, or a place of their transforms."""
    return (inputs * outputs + LANES - 1) // LANES * LANES


@kernel
def filter_column(packed, at, step, side):
    """Multiply G with a column of 16 filters."""
    a, b, c = load(packed, at), load(packed, at + step), load(packed, at + 2 * step)
    if len(side) == 4:
        return filter_part(a, b, c, constant(a, 0), constant(a, 0), c)
    e = load(packed, at + 4 * step)
    return filter_part(a, b, c, load(packed, at + 3 * step), e, e)


@kernel
def filter_row(a, b, c, d, e, side):
    """Multiply a row of G g with Gt."""
    return filter_part(a, b, c, d, e, c if len(side) == 4 else e)


@parallel_kernel
def transform_filters(packed, transformed, side):
    """Write G g Gt of the filters in packed[r, s, i] to transformed[p, i]."""
    taps, size = taps_of(side), transformed.size // PLACES
    for index in prange(size // LANES):
        at = np.intp(index) * LANES
        step = taps * size
        x0 = filter_column(packed, at, step, side)
        x1 = filter_column(packed, at + size, step, side)
        x2 = filter_column(packed, at + 2 * size, step, side)
        nothing = constant(packed, 0)
        x3 = x4 = (nothing, nothing, nothing, nothing, nothing, nothing)
        if len(side) == 2:
            x3 = filter_column(packed, at + 3 * size, step, side)
            x4 = filter_column(packed, at + 4 * size, step, side)
        store_six(transformed, at, size, filter_row(x0[0], x1[0], x2[0], x3[0], x4[0], side))
        store_six(transformed, at + 6 * size, size, filter_row(x0[1], x1[1], x2[1], x3[1], x4[1], side))
        store_six(transformed, at + 12 * size, size, filter_row(x0[2], x1[2], x2[2], x3[2], x4[2], side))
        store_six(transformed, at + 18 * size, size, filter_row(x0[3], x1[3], x2[3], x3[3], x4[3], side))
        store_six(transformed, at + 24 * size, size, filter_row(x0[4], x1[4], x2[4], x3[4], x4[4], side))
        store_six(transformed, at + 30 * size, size, filter_row(x0[5], x1[5], x2[5], x3[5], x4[5], side))
