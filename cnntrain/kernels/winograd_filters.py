"""Winograd's transform of filters, G g Gt; letters as in `kernels.winograd`.

Filters g[r, s] of all pairs of channel and filter are packed as (r, s, i), and become (p, i). The numbers i are in the
order in which products read them: (tile, c, filter of the tile), filled up to a multiple of 16.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel, shared
from cnntrain.kernels.lanes import constant, load
from cnntrain.kernels.winograd import PATCH_SIDE, PLACES, Series, moved, row_of, store_six
from cnntrain.kernels.winograd_matrices import filter_part
from cnntrain.shape import LANES


@shared
def taps_of(side):
    """Return the taps of a filter's side."""
    return PATCH_SIDE + 1 - len(side)


@shared
def filters_size(packed, side):
    """Return how many numbers hold the transforms of `packed` numbers."""
    return packed // (taps_of(side) * taps_of(side)) * PLACES


@kernel
def filter_column(packed, taps, side):
    """Multiply G with a column of 16 filters."""
    at, step = taps.at, taps.step
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
    taps = taps_of(side)
    size = packed.size // (taps * taps)
    for index in prange(size // LANES):
        at = np.intp(index) * LANES
        column, places = Series(at, taps * size), Series(at, size)
        x0 = filter_column(packed, column, side)
        x1 = filter_column(packed, moved(column, size), side)
        x2 = filter_column(packed, moved(column, 2 * size), side)
        nothing = constant(packed, 0)
        x3 = x4 = (nothing, nothing, nothing, nothing, nothing, nothing)
        if len(side) == 2:
            x3 = filter_column(packed, moved(column, 3 * size), side)
            x4 = filter_column(packed, moved(column, 4 * size), side)
        store_six(transformed, row_of(places, 0), filter_row(x0[0], x1[0], x2[0], x3[0], x4[0], side))
        store_six(transformed, row_of(places, 1), filter_row(x0[1], x1[1], x2[1], x3[1], x4[1], side))
        store_six(transformed, row_of(places, 2), filter_row(x0[2], x1[2], x2[2], x3[2], x4[2], side))
        store_six(transformed, row_of(places, 3), filter_row(x0[3], x1[3], x2[3], x3[3], x4[3], side))
        store_six(transformed, row_of(places, 4), filter_row(x0[4], x1[4], x2[4], x3[4], x4[4], side))
        store_six(transformed, row_of(places, 5), filter_row(x0[5], x1[5], x2[5], x3[5], x4[5], side))
