"""Batch normalisation: statistics of each channel over images and pixels, in as few sweeps as the formulas allow.

Layout (block, pixel, channel, lane). A block's pixels are cut into *pieces* that fit the L2 cache, the pieces of the
batch into *slots*, as many as the layer's shape says: the same bits for any number of threads.

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

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.lanes import constant, fma, lane_numbers, load, select, splat, store
from cnntrain.shape import LANES


class Sheet(NamedTuple):
    """How the values of a batch are cut; also used by other layers that have one parameter per channel."""

    pixels: int  # of an image
    channels: int
    pieces: int  # of each block's pixels
    slots: int  # of the batch's pieces


@kernel
def piece_of(sheet, line):
    """Return block, first pixel and end pixel of a line; lines count the pieces of all blocks."""
    b, piece = line // sheet.pieces, line % sheet.pieces
    return b, piece * sheet.pixels // sheet.pieces, (piece + 1) * sheet.pixels // sheet.pieces


@kernel
def piece_moments(x, at, count, channels, scratch, mean, squares):
    """Write each lane's mean and sum of squared deviations over `count` pixels to scratch[mean:] and [squares:]."""
    width = channels * LANES
    for c in range(0, width, LANES):
        store(scratch, mean + c, load(x, at + c))
    for pixel in range(at + width, at + count * width, width):
        for c in range(0, width, LANES):
            store(scratch, mean + c, load(scratch, mean + c) + load(x, pixel + c))
    number = constant(x, count)
    for c in range(0, width, LANES):
        store(scratch, mean + c, load(scratch, mean + c) / number)
        store(scratch, squares + c, constant(x, 0))
    for pixel in range(at, at + count * width, width):
        for c in range(0, width, LANES):
            deviation = load(x, pixel + c) - load(scratch, mean + c)
            store(scratch, squares + c, fma(deviation, deviation, load(scratch, squares + c)))


@kernel
def merge_piece(moments, mean, squares, scratch, new_mean, new_squares, channels, before, count, used):
    """Merge the moments of `count` new values per lane into those of the `before` values so far, in `used` lanes."""
    valid = lane_numbers(used) < splat(used)
    share = constant(moments, count) / constant(moments, before + count)
    for c in range(0, channels * LANES, LANES):
        old, old_squares = load(moments, mean + c), load(moments, squares + c)
        difference = load(scratch, new_mean + c) - old
        merged = fma(difference, share, old)
        between = difference * difference * (share * constant(moments, before))
        store(moments, mean + c, select(valid, merged, old))
        total = old_squares + (load(scratch, new_squares + c) + between)
        store(moments, squares + c, select(valid, total, old_squares))


@parallel_kernel
def batch_moments(x, moments, counts, scratch, images, sheet):
    """Write the moments of each slot, channel and lane, and how many values they are of.

    Parameters
    ----------
    x : 1-D array, float32 or float64
    moments, scratch : 1-D array
        (slot, mean or sum of squares, channel, lane).
    counts : 1-D array of int64
        (slot, lane); the same for all channels.
    images : int
    sheet : Sheet
    """
    width = sheet.channels * LANES
    lines = (images + LANES - 1) // LANES * sheet.pieces
    for index in prange(sheet.slots):
        slot = np.intp(index)
        mean, squares = 2 * slot * width, (2 * slot + 1) * width
        for c in range(mean, mean + 2 * width, LANES):
            store(moments, c, constant(x, 0))
        before = 0
        for lane in range(LANES):
            counts[slot * LANES + lane] = 0
        for line in range(slot * lines // sheet.slots, (slot + 1) * lines // sheet.slots):
            b, begin, end = piece_of(sheet, line)
            used = min(images - b * LANES, LANES)
            piece_moments(x, (b * sheet.pixels + begin) * width, end - begin, sheet.channels, scratch, mean, squares)
            merge_piece(moments, mean, squares, scratch, mean, squares, sheet.channels, before, end - begin, used)
            before += end - begin
            for lane in range(used):
                counts[slot * LANES + lane] += end - begin


@parallel_kernel
def merge_moments(moments, counts, mean, variance, sheet):
    """Merge slots and lanes, in their order and in double precision, to each channel's mean and biased variance."""
    width = sheet.channels * LANES
    for index in prange(sheet.channels):
        c = np.intp(index)
        total, average, squares = 0.0, 0.0, 0.0
        for slot in range(sheet.slots):
            for lane in range(LANES):
                count = np.float64(counts[slot * LANES + lane])
                if count > 0:
                    at = 2 * slot * width + c * LANES + lane
                    difference = np.float64(moments[at]) - average
                    share = count / (total + count)
                    average += difference * share
                    squares += np.float64(moments[at + width]) + difference * difference * share * total
                    total += count
        mean[c] = average
        variance[c] = squares / total


@parallel_kernel
def normalize(x, y, mean, factor, shift, blocks, sheet):
    """Compute y = (x - mean) * factor + shift, each with one number per channel."""
    width = sheet.channels * LANES
    for index in prange(blocks * sheet.pieces):
        b, begin, end = piece_of(sheet, np.intp(index))
        for pixel in range((b * sheet.pixels + begin) * width, (b * sheet.pixels + end) * width, width):
            for c in range(sheet.channels):
                deviation = load(x, pixel + c * LANES) - splat(mean[c])
                store(y, pixel + c * LANES, fma(deviation, splat(factor[c]), splat(shift[c])))


@parallel_kernel
def normalize_sums(grad_output, x, mean, partial, images, sheet):
    """Add up partial (slot, g or g d, channel, lane): the gradient, and the gradient times d = x - mean."""
    width = sheet.channels * LANES
    lines = (images + LANES - 1) // LANES * sheet.pieces
    for index in prange(sheet.slots):
        slot = np.intp(index)
        sums = 2 * slot * width
        for c in range(sums, sums + 2 * width, LANES):
            store(partial, c, constant(x, 0))
        for line in range(slot * lines // sheet.slots, (slot + 1) * lines // sheet.slots):
            b, begin, end = piece_of(sheet, line)
            used = min(images - b * LANES, LANES)
            valid = lane_numbers(used) < splat(used)
            for pixel in range((b * sheet.pixels + begin) * width, (b * sheet.pixels + end) * width, width):
                for c in range(sheet.channels):
                    at = sums + c * LANES
                    g = load(grad_output, pixel + c * LANES)
                    product = g * (load(x, pixel + c * LANES) - splat(mean[c]))
                    store(partial, at, load(partial, at) + g)
                    at += width
                    store(partial, at, load(partial, at) + select(valid, product, constant(x, 0)))


@parallel_kernel
def normalize_backward(grad_output, x, grad_input, mean, factor, offset, slope, images, sheet):
    """dL/dx = factor (g - offset - slope (x - mean)), zero in the lanes without an image."""
    width = sheet.channels * LANES
    for index in prange((images + LANES - 1) // LANES * sheet.pieces):
        b, begin, end = piece_of(sheet, np.intp(index))
        used = min(images - b * LANES, LANES)
        valid = lane_numbers(used) < splat(used)
        for pixel in range((b * sheet.pixels + begin) * width, (b * sheet.pixels + end) * width, width):
            for c in range(sheet.channels):
                deviation = load(x, pixel + c * LANES) - splat(mean[c])
                g = load(grad_output, pixel + c * LANES) - splat(offset[c])
                value = splat(factor[c]) * (g - splat(slope[c]) * deviation)
                store(grad_input, pixel + c * LANES, select(valid, value, constant(x, 0)))
