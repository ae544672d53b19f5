"""Winograd's transform of filters, G g Gt; letters as in `kernels.winograd`.

Filters g[r, s] of all pairs of channel and filter are packed as (r, s, i), and become (p, i). The numbers i are in the
order in which products read them: (tile, c, filter of the tile), filled up to whole vectors.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel, shared
from cnntrain.kernels.lanes import constant, convert, load, store
from cnntrain.kernels.winograd import places_of, store_places
from cnntrain.kernels.winograd_matrices import filter_part
from cnntrain.kernels.work import share
from cnntrain.shape import LANES


@shared
def taps_of(patch, side):
    """Return the taps of a filter's side."""
    return len(patch) + 1 - len(side)


@shared
def filters_place(inputs, outputs):
    """Return how many numbers a tap of all filters has, or a place of their transforms."""
    return (inputs * outputs + LANES - 1) // LANES * LANES


@kernel
def filter_column(source, at, step, midway, patch, side):
    """Multiply G with a column or row of 16 filters, in the precision of `midway`."""
    a, b = convert(load(source, at), midway), convert(load(source, at + step), midway)
    c = convert(load(source, at + 2 * step), midway)
    if taps_of(patch, side) == 3:
        return filter_part(a, b, c, constant(a, 0), constant(a, 0), patch, side)
    d, e = convert(load(source, at + 3 * step), midway), convert(load(source, at + 4 * step), midway)
    return filter_part(a, b, c, d, e, patch, side)


@kernel
def store_rounded(transformed, at, step, values):
    """Write a row of G g Gt."""
    store(transformed, at, convert(values[0], transformed))
    store(transformed, at + step, convert(values[1], transformed))
    store(transformed, at + 2 * step, convert(values[2], transformed))
    store(transformed, at + 3 * step, convert(values[3], transformed))
    store(transformed, at + 4 * step, convert(values[4], transformed))
    store(transformed, at + 5 * step, convert(values[5], transformed))
    if len(values) == 8:
        store(transformed, at + 6 * step, convert(values[6], transformed))
        store(transformed, at + 7 * step, convert(values[7], transformed))


@shared
def midway_at(worker, patch, side):
    """Return where a worker's G g begins, as (row, column, filter); that of all workers is that of the next."""
    return worker * len(patch) * taps_of(patch, side) * LANES


@parallel_kernel
def transform_filters(packed, transformed, midway, workers, patch, side):
    """Write G g Gt of the filters in packed[r, s, i] to transformed[p, i].

    Parameters
    ----------
    packed, transformed : 1-D array, float32 or float64
    midway : 1-D array, float32 or float64
        G g of 16 filters of each worker (`midway_at`). Its precision is that of the arithmetic: numbers are rounded to
        that of `transformed` once.
    workers : int
        Any number gives the same bits.
    """
    taps, size = taps_of(patch, side), transformed.size // places_of(patch)
    for index in prange(workers):
        worker = np.intp(index)
        begin, end = share(worker, workers, size // LANES)
        own, line = midway_at(worker, patch, side), taps * LANES
        for i in range(begin, end):
            at = i * LANES
            for s in range(taps):
                column = filter_column(packed, at + s * size, taps * size, midway, patch, side)
                store_places(midway, own + s * LANES, line, column)
            for r in range(len(patch)):
                row = filter_column(midway, own + r * line, LANES, midway, patch, side)
                store_rounded(transformed, at + r * len(patch) * size, size, row)
