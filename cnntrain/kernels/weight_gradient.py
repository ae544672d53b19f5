"""Backward to the weights: a valid correlation of the input with the delta, summed over the batch.

    grad_weight[k, c, r, s] = sum over images, y, x of
        delta[k, y, x] * image[c, y * stride + r * dilation - padding, x * stride + s * dilation - padding]

There are two ways. Both bring rows of the image into scratch memory, between zero margins where taps overhang, and keep
the accumulators of a tile in registers along a row. Here is what they have in common.

by lanes (`kernels.weight_gradient_lanes`): lane vectors of the image times lane vectors of the delta; lanes are added
    once, at the end. For rows of few positions (the first layer), of which a vector of 16 would be mostly empty.
by positions (`kernels.weight_gradient_positions`): the image's row is transposed, so that 16 positions make a vector;
    each lane of the delta is a number to broadcast. The inner loop is that of the forward pass, and no lanes are left
    to add.

Words (a *unit* and a *tile* are explained in `kernels.work`)

position   a tap and a channel, (r, s, c): what a filter has a weight for
run        positions that lie side by side in a row of the image: all (s, c) of a tap row, or with dilation or groups
           the channels of one tap
slot       a share of the batch's rows, with sums of its own
partial    the sums of the weights, slot by slot; `biases` are those of the delta alone
bundle     a share of a group's tiles of filters
chunk      a share of a run, in whole tiles; only where a filter has one tap
stretch    pixels of a row that meet all filters and positions before the next do

The rows of the batch (of the delta by lanes, of the image by positions) are cut into as many slots as the layer's shape
says. Each slot adds up its rows in order, and the slots are added in order: the same bits for any number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, kernel, parallel_kernel, shared
from cnntrain.kernels.lanes import constant, lane_of, load, memory, put, sum_lanes, take
from cnntrain.kernels.work import share
from cnntrain.shape import LANES

PARTS = 16  # units of `add_slots`; any number gives the same bits


class Division(NamedTuple):
    """How the work is cut into units that own what they write: the numbers of bundles, chunks and slots."""

    bundles: int
    chunks: int
    slots: int


class Unit(NamedTuple):
    """Which share of everything a unit computes."""

    slot: int
    chunk: int
    bundle: int
    group: int


class Runs(NamedTuple):
    """How many runs of positions a tap row has, and how many positions a run."""

    number: int
    length: int


class Pixels(NamedTuple):
    """Pixels of a row, one after the other: memory[at:], memory[at + step:], ..."""

    memory: object
    at: int
    step: int


class Batch(NamedTuple):
    """What is added to the sums."""

    blocks: int
    fresh: bool  # the sums begin with zero
    biased: int  # 1 where the delta is added to the biases, else 0


@shared
def units_of(division, groups):
    """Return how many units there are."""
    return groups * division.bundles * division.chunks * division.slots


@shared
def unit_of(number, division):
    """Return what unit number `number` computes: bundles of all groups, in order, each in chunks, these in slots."""
    slot, rest = number % division.slots, number // division.slots
    chunk, rest = rest % division.chunks, rest // division.chunks
    return Unit(slot, chunk, rest % division.bundles, rest // division.bundles)


@shared
def runs_of(columns, channels):
    """Return the runs of a tap row."""
    contiguous = columns.dilation == 1 and channels.groups == 1
    number = 1 if contiguous else columns.taps
    return Runs(number, columns.taps // number * channels.inputs)


@shared
def row_length(columns):
    """Return how many pixels of a row, margins included, the taps reach."""
    return (columns.count - 1) * columns.stride + (columns.taps - 1) * columns.dilation + 1


@inlined_kernel
def clear_biases(biases, begin, end):
    """Let sums of the delta begin with zero."""
    for k in range(begin, end):
        put(biases, k, 0)


@kernel
def add_sums(delta, count, channels, biases, at):
    """biases[at + c] += the sum of channel c over `count` pixels of the delta and all lanes."""
    for c in range(channels):
        total = constant(delta.memory, 0)
        for x in range(count):
            total = total + load(delta.memory, delta.at + x * delta.step + c * LANES)
        put(biases, at + c, take(biases, at + c) + sum_lanes(total))


@kernel
def add_rows(biases, slots, total):
    """total[k] = sum of biases[slot, k], in order."""
    for k in range(total.size):
        result = biases[np.uintp(k)]
        for slot in range(1, slots):
            result += biases[np.uintp(slot * total.size + k)]
        total[np.uintp(k)] = result


@parallel_kernel
def add_slots(partial, biases, slots, slot_size, lanes, canonical, gradient, grad_bias):
    """Add the slots up, in order.

    gradient[canonical[p]] = sum of partial[slot, p], and grad_bias[k] = sum of biases[slot, k]. With `lanes` each p
    stands for a lane vector, whose lanes are added too. canonical[p] is -1 for places that only fill up vectors.
    grad_bias may be empty.
    """
    for index in prange(PARTS + 1):
        part = np.intp(index)
        if part == PARTS:
            add_rows(biases, slots, grad_bias)
            continue
        begin, end = share(part, PARTS, slot_size // LANES)
        for v in range(begin, end):
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


@parallel_kernel
def bias_gradient(delta, biases, gradient, pixels, slots):
    """gradient[k] = sum of the delta over all `pixels` (of all blocks) and lanes; biases is (slot, k)."""
    width = gradient.size * LANES
    if slots == 1:  # without other threads
        clear_biases(memory(gradient), np.intp(0), gradient.size)
        add_sums(Pixels(memory(delta), np.intp(0), width), pixels, gradient.size, memory(gradient), np.intp(0))
        return
    for index in prange(slots):
        slot = np.intp(index)
        begin, end = share(slot, slots, pixels)
        sums, at = memory(biases), slot * gradient.size
        clear_biases(sums, at, at + gradient.size)
        add_sums(Pixels(memory(delta), begin * width, width), end - begin, gradient.size, sums, at)
    add_rows(biases, slots, gradient)
