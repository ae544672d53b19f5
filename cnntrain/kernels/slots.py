"""Slots: where partial sums wait to be added up in a fixed order, whoever made them (`kernels.weight_gradient`)."""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import parallel_kernel, shared
from cnntrain.kernels.lanes import load, sum_lanes
from cnntrain.shape import LANES


@shared
def slot_at(slot, vectors):
    """Return where a slot of so many lane vectors begins, in numbers; slot number `slots` begins behind the last."""
    return slot * vectors * LANES


@shared
def room(slots, vectors):
    """Return how many numbers all slots hold."""
    return slot_at(slots, vectors)


@parallel_kernel
def sum_slots(partial, slots, sums):
    """sums[i] = sum over slots, in their order, and then over lanes, of partial (slot, i, lane)."""
    for index in prange(sums.size):
        i = np.intp(index)
        total = load(partial, i * LANES)
        for slot in range(1, slots):
            total = total + load(partial, slot_at(slot, sums.size) + i * LANES)
        sums[i] = sum_lanes(total)
