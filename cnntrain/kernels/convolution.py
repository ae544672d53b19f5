"""Convolution forward and backward to the input: one kernel, `correlate`.

Letters
    b block of 16 images    y, x output row, column    r, s tap row, column    c input channel    k output channel

Layout (flat arrays, 16 lanes innermost)
    image[((b * rows + row) * columns + column) * channels + channel, lane]

Law, along each axis (see `Axis`)
    tap t of output i reads input  i * stride + offset + t * dilation;
    taps that fall outside the image are not visited: the range of t is clipped, there is no halo.

Forward, that is the formula of the layer: offset = -padding. Backward to the input it is the *full convolution*: the
delta takes the place of the image, filters and channels change roles, and the weights are packed rotated by 180°.
A layer's stride s splits the input into s phases per axis; each is such a correlation without gaps.

Weights are packed as (tile of filters, r, s, c, filter in tile), so that they stream. Derived in docs/kernels.md.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.lanes import accumulate, tile_splat, tile_store
from cnntrain.shape import LANES


@kernel
def first_tap(axis, base):
    """Return the first tap at or after the image's edge; `base` is where tap 0 reads."""
    if base >= 0:
        return 0
    return (axis.dilation - 1 - base) // axis.dilation


@kernel
def end_tap(axis, base):
    """Return one more than the last tap that still lies inside the image."""
    end = (axis.input_size - base + axis.dilation - 1) // axis.dilation
    return min(end, axis.taps) if end > 0 else 0


@kernel
def correlate_row(
    image, weights, bias, output, place, output_block, output_width, b, i, group, k, w, rows, columns, channels, pair,
    filters, run,
):  # fmt: skip
    """Compute one output row of one tile: `len(pair)` blocks from `b`, `len(filters)` filters from `k`.

    The row goes to output[place:], the next block's `output_block` further, a pixel's filters side by side and the next
    pixel's `output_width` further.
    """
    image_width = channels.groups * channels.inputs * LANES
    image_block = rows.input_size * columns.input_size * image_width
    contiguous = columns.dilation == 1 and channels.groups == 1
    tap_row = columns.taps * channels.inputs * len(filters)

    row = i * rows.stride + rows.offset
    r0, r1 = first_tap(rows, row), end_tap(rows, row)
    for j in range(columns.count):
        column = j * columns.stride + columns.offset
        s0, s1 = first_tap(columns, column), end_tap(columns, column)
        tile = tile_splat(bias, group * channels.outputs + k, pair, filters)
        source = b * image_block + (row + r0 * rows.dilation) * columns.input_size * image_width
        if len(run) > 0 and s1 - s0 == columns.taps:
            x, at = source + column * image_width, w + r0 * tap_row
            for _ in range(r0, r1):
                for p in range(len(run)):  # of known length: unrolled
                    tile = accumulate(tile, image, x + p * LANES, image_block, weights, at + p * len(filters), 1)
                x += rows.dilation * columns.input_size * image_width
                at += tap_row
        else:
            for r in range(r0, r1):
                # Neighbouring taps of a row lie side by side: (s, c) is one run; with dilation or groups, one per tap.
                runs = 1 if contiguous else s1 - s0
                length = (s1 - s0) * channels.inputs if contiguous else channels.inputs
                for tap in range(runs):
                    s = s0 + tap
                    x = source + (column + s * columns.dilation) * image_width + group * channels.inputs * LANES
                    at = w + r * tap_row + s * channels.inputs * len(filters)
                    for _ in range(length):
                        tile = accumulate(tile, image, x, image_block, weights, at, 1)
                        x += LANES
                        at += len(filters)
                source += rows.dilation * columns.input_size * image_width
        tile_store(output, place + (columns.first + j * columns.step) * output_width, output_block, LANES, tile)


@parallel_kernel
def correlate(image, weights, at, bias, output, blocks, geometry, pair, tall, short, run):
    """Correlate the first `blocks` blocks, rounded up to whole register tiles, with the weights packed at `at`.

    Parameters
    ----------
    image, output : 1-D array, float32 or float64
        In the layout above.
    weights : 1-D array
        Packed, see above.
    bias : 1-D array
        One number per output channel.
    geometry : tuple of (rows, columns, channels, tiles)
        Axis, Axis, Channels and Tiles, each as a plain tuple.
    pair, tall, short : tuple of int
        Only their lengths count: blocks side by side in a register tile, and the two tile heights.
    run : tuple of int
        As long as a run (s, c), where those are so short that loops of known length pay; else empty.
    """
    rows, columns = Axis(*geometry[0]), Axis(*geometry[1])
    channels, tiles = Channels(*geometry[2]), Tiles(*geometry[3])
    bundles = (blocks + len(pair) - 1) // len(pair)
    taps = rows.taps * columns.taps * channels.inputs
    width = channels.groups * channels.outputs * LANES
    row_size, block_size = columns.output_size * width, rows.output_size * columns.output_size * width
    for index in prange(bundles * rows.count):
        unit = np.intp(index)
        b = unit // rows.count * len(pair)
        i = unit % rows.count
        w = at
        place = b * block_size + (rows.first + i * rows.step) * row_size
        for group in range(channels.groups):
            k = np.intp(0)  # not a literal, for which Numba would compile the row once more
            for _ in range(tiles.tall):
                correlate_row(
                    image, weights, bias, output, place, block_size, width, b, i, group, k, w, rows, columns, channels,
                    pair, tall, run,
                )  # fmt: skip
                k += len(tall)
                w += taps * len(tall)
                place += len(tall) * LANES
            for _ in range(tiles.short):
                correlate_row(
                    image, weights, bias, output, place, block_size, width, b, i, group, k, w, rows, columns, channels,
                    pair, short, run,
                )  # fmt: skip
                k += len(short)
                w += taps * len(short)
                place += len(short) * LANES
