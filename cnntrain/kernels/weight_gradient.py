"""Backward to the weights: a valid correlation of the input with the delta, summed over the batch.

    grad_weight[k, c, r, s] = sum over images, y, x of
        delta[k, y, x] * image[c, y * stride + r * dilation - padding, x * stride + s * dilation - padding]

A *position* is a pair (s, c); the positions of a tap row lie side by side in memory. There are two schemes; both bring
rows of the image into scratch memory, between zero margins where taps overhang, and keep the accumulators of a tile in
registers along a row. Here is what they have in common.

A, by lanes (`kernels.weight_gradient_lanes`): tile = positions x filters, lane vector times lane vector; lanes are
   added once, at the end. For rows of few positions (the first layer), of which a vector of 16 would be mostly empty.
B, by positions (`kernels.weight_gradient_positions`): the image's row is transposed, so that 16 positions make a
   vector; each lane of the delta is a number to broadcast. The inner loop is that of the forward pass, and no lanes
   are left to add.

The rows of the batch (of the delta in A, of the image in B) are cut into *slots*, as many as the layer's shape says.
Each slot adds up its rows in order, and the slots are added in order: the same bits for any number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.lanes import constant, lane_of, load, sum_lanes
from cnntrain.shape import LANES

PARTS = 16  # units of work of `add_slots`; any number gives the same bits


class Division(NamedTuple):
    """How the work is cut into units that own what they write."""

    bundles: int  # of filters, per group
    chunks: int  # of vectors of positions (scheme B); only where a filter has one tap
    slots: int  # of rows of the batch
    stretch: int  # of pixels of a row that meet all filters before the next do (scheme B)
    filled: int  # numbers that a run of positions takes in the results (scheme B)


@kernel
def row_length(columns):
    """Return how many pixels of a row, margins included, the taps reach."""
    return (columns.count - 1) * columns.stride + (columns.taps - 1) * columns.dilation + 1


@kernel
def add_sums(delta, d, step, count, channels, sums, at):
    """sums[at + c] += the sum of channel c over `count` pixels and all lanes; pixels lie `step` apart from d on."""
    for c in range(channels):
        total = constant(delta, 0)
        for x in range(count):
            total = total + load(delta, d + x * step + c * LANES)
        sums[np.uintp(at + c)] += sum_lanes(total)


@kernel
def add_rows(sums, slots, total):
    """total[k] = sum of sums[slot, k], in order."""
    for k in range(total.size):
        result = sums[np.uintp(k)]
        for slot in range(1, slots):
            result += sums[np.uintp(slot * total.size + k)]
        total[np.uintp(k)] = result


@parallel_kernel
def add_slots(partial, sums, slots, slot_size, lanes, canonical, gradient, bias):
    """Add the slots up, in order: gradient[canonical[p]] = sum of partial[slot, p], bias[k] = sum of sums[slot, k].

    With `lanes` (scheme A) each p stands for a lane vector, whose lanes are added too. canonical[p] is -1 for places
    that only fill up vectors. bias may be empty.
    """
    for index in prange(PARTS):
        part = np.intp(index)
        vectors = slot_size // LANES
        for v in range(part * vectors // PARTS, (part + 1) * vectors // PARTS):
            total = load(partial, v * LANES)
            for slot in range(1, slots):
                total = total + load(partial, slot * slot_size + v * LANES)
            if lanes:
                place = canonical[np.uintp(v)]
                if place >= 0:
                    gradient[np.uintp(place)] = sum_lanes(total)
            else:
                for p in range(LANES):
                    place = canonical[np.uintp(v * LANES + p)]
                    if place >= 0:
                        gradient[np.uintp(place)] = lane_of(total, p)
    add_rows(sums, slots, bias)


@parallel_kernel
def bias_gradient(delta, sums, gradient, pixels, slots):
    """gradient[k] = sum of the delta over all `pixels` (of all blocks) and lanes; sums is (slot, k)."""
    width = gradient.size * LANES
    if slots == 1:  # without other threads
        for k in range(gradient.size):
            gradient[np.uintp(k)] = 0
        add_sums(delta, 0, width, pixels, gradient.size, gradient, 0)
        return
    for index in prange(slots):
        slot = np.intp(index)
        begin, end = slot * pixels // slots, (slot + 1) * pixels // slots
        for k in range(slot * gradient.size, (slot + 1) * gradient.size):
            sums[np.uintp(k)] = 0
        add_sums(delta, begin * width, width, end - begin, gradient.size, sums, slot * gradient.size)
    add_rows(sums, slots, gradient)
