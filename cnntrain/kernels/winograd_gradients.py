"""Winograd's sums of the weights' gradient, added up and transformed, Gt P G; letters as in `kernels.winograd`.

P is the sum over patches and images that `kernels.winograd_weights` keeps in slots, as (slot, p, channel, filter).
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.lanes import lane_of, load, store
from cnntrain.kernels.winograd import load_places
from cnntrain.kernels.winograd_filters import taps_of
from cnntrain.kernels.winograd_matrices import gradient_part
from cnntrain.kernels.winograd_weights import slot_size
from cnntrain.shape import LANES


@kernel
def sum_place(partial, at, slots, size):
    """Add one vector of all slots up, in order; a slot has `size` numbers."""
    total = load(partial, at)
    for slot in range(1, slots):
        total = total + load(partial, at + slot * size)
    return total


@kernel
def sum_column(partial, at, step, slots, size, patch):
    """Return the sums of a column of places."""
    a, b = sum_place(partial, at, slots, size), sum_place(partial, at + step, slots, size)
    c, d = sum_place(partial, at + 2 * step, slots, size), sum_place(partial, at + 3 * step, slots, size)
    e, f = sum_place(partial, at + 4 * step, slots, size), sum_place(partial, at + 5 * step, slots, size)
    if len(patch) == 6:
        return a, b, c, d, e, f
    g, h = sum_place(partial, at + 6 * step, slots, size), sum_place(partial, at + 7 * step, slots, size)
    return a, b, c, d, e, f, g, h


@kernel
def store_taps(partial, at, step, values):
    """Write the first five rows of Gt P, of which some may be of no use."""
    store(partial, at, values[0])
    store(partial, at + step, values[1])
    store(partial, at + 2 * step, values[2])
    store(partial, at + 3 * step, values[3])
    store(partial, at + 4 * step, values[4])


@kernel
def scatter(gradient, canonical, at, step, row, taps):
    """Write a row of taps of 16 filters to their places in the gradient."""
    for lane in range(LANES):
        gradient[canonical[at + lane]] = lane_of(row[0], lane)
        gradient[canonical[at + step + lane]] = lane_of(row[1], lane)
        gradient[canonical[at + 2 * step + lane]] = lane_of(row[2], lane)
        if taps == 5:
            gradient[canonical[at + 3 * step + lane]] = lane_of(row[3], lane)
            gradient[canonical[at + 4 * step + lane]] = lane_of(row[4], lane)


@parallel_kernel
def gradient_of_places(partial, slots, canonical, gradient, inputs, outputs, filled, patch, side):
    """Write gradient[canonical[r, s, c, k]] = Gt (sum of the slots) G; partial has `filled` filters per channel.

    Gt (sum of the slots) takes the place of the first slot: the sums are used up.
    """
    place, tap = inputs * filled, inputs * outputs
    size, line, taps = slot_size(inputs, filled, patch), len(patch) * place, taps_of(patch, side)
    for index in prange(inputs):
        c = np.intp(index)
        for v in range(0, outputs, LANES):
            at, to = c * filled + v, c * outputs + min(v, outputs - LANES)
            for s in range(len(patch)):
                sums = sum_column(partial, at + s * place, line, slots, size, patch)
                store_taps(partial, at + s * place, line, gradient_part(sums, side))
            for r in range(taps):
                row = gradient_part(load_places(partial, at + r * line, place, patch), side)
                scatter(gradient, canonical, to + r * taps * tap, tap, row, taps)
