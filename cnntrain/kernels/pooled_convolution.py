"""A convolution and the max-pooling of its output in one kernel: what they exchange stays in the L1 cache.

For windows that tile the output side by side. Forward, the rows of a window are computed for a tile of filters, and
pooled at once. Backward to the weights, the delta of such rows is made of the pooled gradient and the mask where the
first layer's weight gradient reads it (`kernels.weight_gradient_lanes`).

Letters and layout as in `kernels.convolution` and `kernels.pooling`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, outer_kernel, parallel_kernel, shared
from cnntrain.kernels.convolution import Arrays, Geometry, Row, Target, correlate_row, taps_of
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.lanes import memory
from cnntrain.kernels.pooling import Pooled, Rows, whole_window
from cnntrain.kernels.work import each_tile, share
from cnntrain.shape import LANES


class Results(NamedTuple):
    """What is written: the rows of a window on the way, the maxima, the mask."""

    z: object
    output: object
    mask: object


class PooledRow(NamedTuple):
    """A row of windows: the first block, the row, the group, and a worker's room in z."""

    b: int
    y: int
    group: int
    room: int


@shared
def row_room(columns, high, pair, filters):
    """Return how many numbers the rows of a window take, of a tile of filters and `len(pair)` blocks."""
    return len(high) * len(pair) * columns.output_size * len(filters) * LANES


@kernel
def pool_tile(state, k, filters):
    """Compute one row of windows of one tile, by way of the rows that they cover."""
    inputs, results, geometry, pooled, row, at, sizes = state
    pair, run, high, wide = sizes
    channels, width = geometry.channels, len(filters) * LANES
    line = geometry.columns.output_size * width
    arrays = Arrays(inputs[0], inputs[1], inputs[2], results.z)
    for q in range(len(high)):
        target = Target(row.room + q * line, len(high) * line, width)
        covered = Row(row.b, row.y * len(high) + q, row.group, at)
        correlate_row(arrays, geometry, covered, k, target, (pair, run), filters)
    output_width = channels.groups * channels.outputs * LANES
    for block in range(len(pair)):
        corner = row.room + block * len(high) * line
        to = ((row.b + block) * pooled.rows + row.y) * pooled.columns * output_width
        to += (row.group * channels.outputs + k) * LANES
        for _ in range(pooled.columns):
            for f in range(0, width, LANES):
                whole_window(results.z, Rows(corner + f, line, width), results.output, results.mask, to + f, high, wide)
            corner += len(wide) * width
            to += output_width


@outer_kernel
def pool_row(unit, inputs, results, plain, room, sizes):
    """Compute one row of windows of all filters, for as many blocks as lie side by side in a tile."""
    geometry = Geometry(Axis(*plain[0]), Axis(*plain[1]), Channels(*plain[2]))
    tiles, pooled = Tiles(*plain[3]), Pooled(*plain[4])
    pair, tall, short, run, high, wide = sizes
    b, y = unit // pooled.rows * len(pair), unit % pooled.rows
    for group in range(geometry.channels.groups):
        at = group * geometry.channels.outputs * taps_of(geometry)
        row = PooledRow(b, y, group, room)
        state = (inputs, results, geometry, pooled, row, at, (pair, run, high, wide))
        each_tile(pool_tile, state, tiles, tall, short)


@outer_kernel
def pool_rows(worker, inputs, results, batch, plain, sizes):
    """Do a worker's share of the rows of windows."""
    blocks, workers = batch
    pair, tall, _, _, high, _ = sizes
    units = (blocks + len(pair) - 1) // len(pair) * Pooled(*plain[4]).rows
    room = worker * row_room(Axis(*plain[1]), high, pair, tall)
    begin, end = share(worker, workers, units)
    for unit in range(begin, end):
        pool_row(unit, inputs, results, plain, room, sizes)


@parallel_kernel
def correlate_and_pool(image, weights, bias, output, mask, scratch, batch, geometry, sizes):
    """Correlate the first blocks as `correlate` does, and write the maxima and the mask of all windows.

    Parameters
    ----------
    image, weights, bias
        As in `correlate`; the weights begin at 0.
    output, mask : 1-D array
        (block, window row, window column, filter, lane), as in `max_pool`.
    scratch : 1-D array
        A `row_room` for each worker.
    batch : tuple of (blocks, workers)
        Any number of workers gives the same bits.
    geometry : tuple of (rows, columns, channels, tiles, pooled)
        Axis, Axis, Channels, Tiles and Pooled, each as a plain tuple.
    sizes : tuple of (pair, tall, short, run, high, wide)
        Dummy tuples: those of `correlate`, and the window's.
    """
    rows, columns, channels, tiles, pooled = geometry  # apart: tuples in tuples do not enter a parallel loop
    pair, tall, short, run, high, wide = sizes
    for index in prange(batch[1]):
        inputs = memory(image), memory(weights), memory(bias)
        results = Results(memory(scratch), memory(output), memory(mask))
        where, lengths = (rows, columns, channels, tiles, pooled), (pair, tall, short, run, high, wide)
        pool_rows(np.intp(index), inputs, results, batch, where, lengths)
