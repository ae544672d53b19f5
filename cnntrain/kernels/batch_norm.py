"""Batch normalisation: statistics of each channel over images and pixels, in as few sweeps as the formulas allow.

Layout (block, pixel, channel, lane). A block's pixels are cut into *pieces* that fit the L2 cache, the pieces of the
batch into *slots*, as many as the layer's shape says: the same bits for any number of threads. `geometry`: see `Sheet`.

Forward, one sweep for the statistics and one to normalise. The mean and the squares of a piece are computed in two
passes, the second from the cache; pieces are then merged pairwise (Chan, Golub and LeVeque 1979):

    mean += d * n / N,   M2 += m2 + d**2 * n * (N - n) / N,   d = mean of the piece - mean before

which loses nothing when the mean is large beside the deviation. Each lane has its own statistics until the end; the
lanes without an image are left out.

Backward (Ioffe and Szegedy 2015, section 3; derived in docs/mathematics.md), with d = x - mean, v = 1 / sqrt(var + eps)
over M values per channel: one sweep for the sums of g and g d, one for the gradient

    dL/dshift = sum g,   dL/dscale = v sum g d,   dL/dx = scale v (g - sum g / M - d v**2 sum g d / M)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels import slots
from cnntrain.kernels.compiler.jit import inlined_kernel, parallel_kernel, shared
from cnntrain.kernels.lanes import constant, fma, lane_numbers, load, select, splat, store
from cnntrain.kernels.slots import slot_at
from cnntrain.kernels.work import blocks_of, share, used_lanes
from cnntrain.shape import LANES


class Sheet(NamedTuple):
    """How the values of a batch are cut; also used by other layers that have one parameter per channel."""

    pixels: int  # of an image
    channels: int
    pieces: int  # of each block's pixels
    slots: int  # of the batch's pieces


@shared
def room(sheet):
    """Return how many numbers each array (slot, mean or sum of squares, channel, lane) holds: moments and scratch."""
    return slots.room(sheet.slots, 2 * sheet.channels)


@shared
def counts_room(sheet):
    """Return how many numbers the array (slot, lane) holds."""
    return slots.room(sheet.slots, 1)


@shared
def pieces_of(sheet, blocks):
    """Return how many pieces so many blocks have together."""
    return blocks * sheet.pieces


@inlined_kernel
def piece_at(sheet, piece):
    """Return the block that a piece of the batch is in, and where it begins and ends in the array."""
    b, width = piece // sheet.pieces, sheet.channels * LANES
    begin, end = share(piece % sheet.pieces, sheet.pieces, sheet.pixels)
    return b, (b * sheet.pixels + begin) * width, (b * sheet.pixels + end) * width


@inlined_kernel
def piece_moments(x, begin, end, channels, scratch, mean):
    """Write each lane's mean over a piece to scratch[mean:], and its sum of squared deviations behind all means."""
    width = channels * LANES
    squares = mean + width
    for c in range(0, width, LANES):
        store(scratch, mean + c, load(x, begin + c))
    for pixel in range(begin + width, end, width):
        for c in range(0, width, LANES):
            store(scratch, mean + c, load(scratch, mean + c) + load(x, pixel + c))
    number = constant(x, (end - begin) // width)
    for c in range(0, width, LANES):
        store(scratch, mean + c, load(scratch, mean + c) / number)
        store(scratch, squares + c, constant(x, 0))
    for pixel in range(begin, end, width):
        for c in range(0, width, LANES):
            deviation = load(x, pixel + c) - load(scratch, mean + c)
            store(scratch, squares + c, fma(deviation, deviation, load(scratch, squares + c)))


@inlined_kernel
def merge_piece(moments, scratch, mean, channels, before, count, used):
    """Merge the moments of `count` new values per lane into those of the `before` values so far, in `used` lanes.

    Both arrays hold the means from `mean` on, and the sums of squares behind them.
    """
    valid = lane_numbers(used) < splat(used)
    weight = constant(moments, count) / constant(moments, before + count)
    for at in range(mean, mean + channels * LANES, LANES):
        squares = at + channels * LANES
        old, old_squares = load(moments, at), load(moments, squares)
        difference = load(scratch, at) - old
        merged = fma(difference, weight, old)
        between = difference * difference * (weight * constant(moments, before))
        store(moments, at, select(valid, merged, old))
        total = old_squares + (load(scratch, squares) + between)
        store(moments, squares, select(valid, total, old_squares))


@parallel_kernel
def batch_moments(x, moments, counts, scratch, images, geometry):
    """Write the moments of each slot, channel and lane, and how many values they are of.

    Parameters
    ----------
    x : 1-D array, float32 or float64
    moments, scratch : 1-D array
        (slot, mean or sum of squares, channel, lane): `room`.
    counts : 1-D array of int64
        (slot, lane), the same for all channels: `counts_room`.
    images : int
    """
    sheet = Sheet(*geometry)
    width = sheet.channels * LANES
    for index in prange(sheet.slots):
        slot = np.intp(index)
        mean, number = slot_at(slot, 2 * sheet.channels), slot_at(slot, 1)
        for at in range(mean, slot_at(slot + 1, 2 * sheet.channels), LANES):
            store(moments, at, constant(x, 0))
        before = 0
        for lane in range(LANES):
            counts[number + lane] = 0
        first, last = share(slot, sheet.slots, pieces_of(sheet, blocks_of(images)))
        for piece in range(first, last):
            b, begin, end = piece_at(sheet, piece)
            used, count = used_lanes(b, images), (end - begin) // width
            piece_moments(x, begin, end, sheet.channels, scratch, mean)
            merge_piece(moments, scratch, mean, sheet.channels, before, count, used)
            before += count
            for lane in range(used):
                counts[number + lane] += count


@parallel_kernel
def merge_moments(moments, counts, mean, variance, geometry):
    """Merge slots and lanes, in their order and in double precision, to each channel's mean and biased variance."""
    sheet = Sheet(*geometry)
    for index in prange(sheet.channels):
        c = np.intp(index)
        total, average, squares = 0.0, 0.0, 0.0
        for slot in range(sheet.slots):
            for lane in range(LANES):
                count = np.float64(counts[slot_at(slot, 1) + lane])
                if count > 0:
                    at = slot_at(slot, 2 * sheet.channels) + c * LANES + lane
                    difference = np.float64(moments[at]) - average
                    weight = count / (total + count)
                    average += difference * weight
                    within = np.float64(moments[at + sheet.channels * LANES])
                    squares += within + difference * difference * weight * total
                    total += count
        mean[c] = average
        variance[c] = squares / total


@parallel_kernel
def normalize(x, y, mean, factor, shift, blocks, geometry):
    """y = (x - mean) * factor + shift, each with one number per channel."""
    sheet = Sheet(*geometry)
    for index in prange(pieces_of(sheet, blocks)):
        _, begin, end = piece_at(sheet, np.intp(index))
        for pixel in range(begin, end, sheet.channels * LANES):
            for c in range(sheet.channels):
                deviation = load(x, pixel + c * LANES) - splat(mean[c])
                store(y, pixel + c * LANES, fma(deviation, splat(factor[c]), splat(shift[c])))


@parallel_kernel
def normalize_sums(grad_output, x, mean, partial, images, geometry):
    """Add up partial (slot, g or g d, channel, lane): the gradient, and the gradient times d = x - mean; see `room`."""
    sheet = Sheet(*geometry)
    width = sheet.channels * LANES
    for index in prange(sheet.slots):
        slot = np.intp(index)
        sums = slot_at(slot, 2 * sheet.channels)
        for at in range(sums, slot_at(slot + 1, 2 * sheet.channels), LANES):
            store(partial, at, constant(x, 0))
        first, last = share(slot, sheet.slots, pieces_of(sheet, blocks_of(images)))
        for piece in range(first, last):
            b, begin, end = piece_at(sheet, piece)
            used = used_lanes(b, images)
            valid = lane_numbers(used) < splat(used)
            for pixel in range(begin, end, width):
                for c in range(sheet.channels):
                    at = sums + c * LANES
                    g = load(grad_output, pixel + c * LANES)
                    product = g * (load(x, pixel + c * LANES) - splat(mean[c]))
                    store(partial, at, load(partial, at) + g)
                    at += width
                    store(partial, at, load(partial, at) + select(valid, product, constant(x, 0)))


@parallel_kernel
def normalize_backward(grad_output, x, grad_input, mean, factor, offset, slope, images, geometry):
    """dL/dx = factor (g - offset - slope (x - mean)), zero in the lanes without an image."""
    sheet = Sheet(*geometry)
    for index in prange(pieces_of(sheet, blocks_of(images))):
        b, begin, end = piece_at(sheet, np.intp(index))
        used = used_lanes(b, images)
        valid = lane_numbers(used) < splat(used)
        for pixel in range(begin, end, sheet.channels * LANES):
            for c in range(sheet.channels):
                deviation = load(x, pixel + c * LANES) - splat(mean[c])
                g = load(grad_output, pixel + c * LANES) - splat(offset[c])
                value = splat(factor[c]) * (g - splat(slope[c]) * deviation)
                store(grad_input, pixel + c * LANES, select(valid, value, constant(x, 0)))
