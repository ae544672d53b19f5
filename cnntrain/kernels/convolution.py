"""Convolution forward and backward to the input: one kernel, `correlate`.

Letters
    b block of 16 images    y, x output row, column    r, s tap row, column    c input channel    k output channel

Layout (flat arrays, 16 lanes innermost)
    image[((b * rows + row) * columns + column) * channels + channel, lane]

Law, along each axis (see `geometry.Axis`)
    tap t of output i reads input  i * stride + offset + t * dilation;
    taps that fall outside the image are not visited: the range of t is clipped, there is no halo.

Forward, that is the formula of the layer: offset = -padding. Backward to the input it is the *full convolution*: the
delta takes the place of the image, filters and channels change roles, and the weights are packed rotated by 180°.
A layer's stride s splits the input into s phases per axis; each is such a correlation without gaps.

Weights are packed as (tile of filters, r, s, c, filter in tile), so that they stream. Derived in docs/kernels.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, kernel, outer_kernel, parallel_kernel, shared
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.lanes import accumulate, memory, tile_splat, tile_store
from cnntrain.kernels.work import each_tile
from cnntrain.shape import LANES


class Arrays(NamedTuple):
    """What a correlation reads and writes: the `memory` of each."""

    image: object
    weights: object
    bias: object
    output: object


class Geometry(NamedTuple):
    """What stays the same throughout a correlation."""

    rows: Axis
    columns: Axis
    channels: Channels


class Row(NamedTuple):
    """An output row of some blocks: the first block, the row as its axis counts, the group of channels."""

    b: int
    i: int
    group: int
    weights: int  # where the group's packed weights begin


class Target(NamedTuple):
    """Where the outputs of a row and a tile go: the first pixel; from a block and from a pixel to the next."""

    at: int
    block: int
    pixel: int


class Window(NamedTuple):
    """The place of a window, and which of its taps lie inside the image: r0 to before r1, s0 to before s1."""

    b: int
    row: int
    column: int
    r0: int
    r1: int
    s0: int
    s1: int


@shared
def first_tap(axis, base):
    """Return the first tap at or after the image's edge; `base` is where tap 0 reads."""
    if base >= 0:
        return 0
    return (axis.dilation - 1 - base) // axis.dilation


@shared
def end_tap(axis, base):
    """Return one more than the last tap that still lies inside the image."""
    end = (axis.input_size - base + axis.dilation - 1) // axis.dilation
    return min(end, axis.taps) if end > 0 else 0


@shared
def taps_of(geometry):
    """Return how many weights a filter has."""
    return geometry.rows.taps * geometry.columns.taps * geometry.channels.inputs


@shared
def input_line(geometry):
    """Return how many numbers a row of the image has."""
    return geometry.columns.input_size * geometry.channels.groups * geometry.channels.inputs * LANES


@inlined_kernel
def add_short_runs(tile, arrays, geometry, window, at, run, filters):
    """Add to a tile all taps of a window whose columns are all inside; (s, c) is a run of known length: unrolled."""
    line = input_line(geometry)
    x = (window.b * geometry.rows.input_size + window.row + window.r0 * geometry.rows.dilation) * line
    x += window.column * geometry.channels.inputs * LANES
    at += window.r0 * len(run) * len(filters)
    for _ in range(window.r0, window.r1):
        for p in range(len(run)):
            tile = accumulate(
                tile, arrays.image, x + p * LANES, geometry.rows.input_size * line, arrays.weights,
                at + p * len(filters), 1,
            )  # fmt: skip
        x += geometry.rows.dilation * line
        at += len(run) * len(filters)
    return tile


@inlined_kernel
def add_window(tile, arrays, geometry, window, at, group, filters):
    """Add to a tile the taps of a window that are inside.

    Neighbouring taps of a row lie side by side: (s, c) is one run; with dilation or groups, one for each tap.
    """
    rows, columns, channels = geometry
    line, pixel = input_line(geometry), channels.groups * channels.inputs * LANES
    contiguous = columns.dilation == 1 and channels.groups == 1
    source = (window.b * rows.input_size + window.row + window.r0 * rows.dilation) * line
    for r in range(window.r0, window.r1):
        runs = 1 if contiguous else window.s1 - window.s0
        length = (window.s1 - window.s0) * channels.inputs if contiguous else channels.inputs
        for tap in range(runs):
            s = window.s0 + tap
            x = source + (window.column + s * columns.dilation) * pixel + group * channels.inputs * LANES
            w = at + (r * columns.taps + s) * channels.inputs * len(filters)
            for _ in range(length):
                tile = accumulate(tile, arrays.image, x, rows.input_size * line, arrays.weights, w, 1)
                x += LANES
                w += len(filters)
        source += rows.dilation * line
    return tile


@kernel
def correlate_row(arrays, geometry, row, k, target, sizes, filters):
    """Compute one output row of one tile, z = b + sum over (r, s, c) of w x, pixel by pixel.

    The tile is `len(filters)` filters from k on and `len(pair)` blocks from row.b on, sizes = (pair, run).
    """
    rows, columns, channels = geometry
    pair, run = sizes
    at = row.weights + k * taps_of(geometry)
    top = row.i * rows.stride + rows.offset
    r0, r1 = first_tap(rows, top), end_tap(rows, top)
    for j in range(columns.count):
        left = j * columns.stride + columns.offset
        window = Window(row.b, top, left, r0, r1, first_tap(columns, left), end_tap(columns, left))
        tile = tile_splat(arrays.bias, row.group * channels.outputs + k, pair, filters)
        if len(run) > 0 and window.s1 - window.s0 == columns.taps:
            tile = add_short_runs(tile, arrays, geometry, window, at, run, filters)
        else:
            tile = add_window(tile, arrays, geometry, window, at, row.group, filters)
        place = target.at + (columns.first + j * columns.step) * target.pixel
        tile_store(arrays.output, place, target.block, LANES, tile)


@outer_kernel
def correlate_tile(state, k, filters):
    """Compute the row of a tile at its place in the output."""
    arrays, geometry, row, target, sizes = state
    moved = Target(target.at + k * LANES, target.block, target.pixel)
    correlate_row(arrays, geometry, row, k, moved, sizes, filters)


@outer_kernel
def correlate_all_filters(unit, arrays, geometry, tiles, at, sizes):
    """Compute one output row of all filters, for as many blocks as lie side by side in a tile."""
    rows, columns, channels = geometry
    pair, tall, short, run = sizes
    b, i = unit // rows.count * len(pair), unit % rows.count
    pixel = channels.groups * channels.outputs * LANES
    block = rows.output_size * columns.output_size * pixel
    place = b * block + (rows.first + i * rows.step) * columns.output_size * pixel
    for group in range(channels.groups):
        row = Row(b, i, group, at + group * channels.outputs * taps_of(geometry))
        target = Target(place + group * channels.outputs * LANES, block, pixel)
        each_tile(correlate_tile, (arrays, geometry, row, target, (pair, run)), tiles, tall, short)


@parallel_kernel
def correlate(image, weights, bias, output, blocks, geometry, sizes):
    """Correlate the first `blocks` blocks, rounded up to whole register tiles.

    Parameters
    ----------
    image, output : 1-D array, float32 or float64
        In the layout above.
    weights : 1-D array
        Packed, see above.
    bias : 1-D array
        One number per output channel.
    geometry : tuple of (rows, columns, channels, tiles, at)
        Axis, Axis, Channels and Tiles, each as a plain tuple, and where the packed weights begin.
    sizes : tuple of (pair, tall, short, run)
        Dummy tuples, of which only the lengths count: blocks side by side in a register tile, the two tile heights, and
        a run (s, c) where those are so short that loops of known length pay, else ().
    """
    rows, columns, channels = Axis(*geometry[0]), Axis(*geometry[1]), Channels(*geometry[2])
    tiles, at = Tiles(*geometry[3]), geometry[4]
    pair, tall, short, run = sizes
    for index in prange((blocks + len(pair) - 1) // len(pair) * rows.count):
        arrays = Arrays(memory(image), memory(weights), memory(bias), memory(output))
        where = Geometry(rows, columns, channels)
        correlate_all_filters(np.intp(index), arrays, where, tiles, at, (pair, tall, short, run))
