"""Winograd's sums of the weights' gradient, added up and transformed, Gt P G; letters as in `kernels.winograd`.

P is the sum over patches and images that `kernels.winograd_weights` keeps in slots, as (slot, p, channel, filter).
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.lanes import lane_of, load
from cnntrain.kernels.winograd import PATCH_SIDE
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
def sum_column(partial, at, step, slots, size, side):
    """Multiply Gt with the sums of a column of places."""
    return gradient_part(
        sum_place(partial, at, slots, size), sum_place(partial, at + step, slots, size),
        sum_place(partial, at + 2 * step, slots, size), sum_place(partial, at + 3 * step, slots, size),
        sum_place(partial, at + 4 * step, slots, size), sum_place(partial, at + 5 * step, slots, size), side,
    )  # fmt: skip


@kernel
def scatter(gradient, canonical, at, step, row, side):
    """Write a row of taps of 16 filters to their places in the gradient."""
    for lane in range(LANES):
        gradient[canonical[at + lane]] = lane_of(row[0], lane)
        gradient[canonical[at + step + lane]] = lane_of(row[1], lane)
        gradient[canonical[at + 2 * step + lane]] = lane_of(row[2], lane)
        if len(side) == 2:
            gradient[canonical[at + 3 * step + lane]] = lane_of(row[3], lane)
            gradient[canonical[at + 4 * step + lane]] = lane_of(row[4], lane)


@parallel_kernel
def gradient_of_places(partial, slots, canonical, gradient, inputs, outputs, filled, side):
    """Write gradient[canonical[r, s, c, k]] = Gt (sum of the slots) G; partial has `filled` filters per channel."""
    place, tap = inputs * filled, inputs * outputs
    size, line, taps = slot_size(inputs, filled), PATCH_SIDE * place, taps_of(side)
    for index in prange(inputs):
        c = np.intp(index)
        for v in range(0, outputs, LANES):
            at, to = c * filled + v, c * outputs + min(v, outputs - LANES)
            x0 = sum_column(partial, at, line, slots, size, side)
            x1 = sum_column(partial, at + place, line, slots, size, side)
            x2 = sum_column(partial, at + 2 * place, line, slots, size, side)
            x3 = sum_column(partial, at + 3 * place, line, slots, size, side)
            x4 = sum_column(partial, at + 4 * place, line, slots, size, side)
            x5 = sum_column(partial, at + 5 * place, line, slots, size, side)
            for r in range(taps):
                row = gradient_part(x0[r], x1[r], x2[r], x3[r], x4[r], x5[r], side)
                scatter(gradient, canonical, to + r * taps * tap, tap, row, side)
