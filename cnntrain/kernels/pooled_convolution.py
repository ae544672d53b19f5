"""A convolution and the max-pooling of its output in one kernel: what they exchange stays in the L1 cache.

For windows that tile the output side by side. Forward, the rows of a window are computed for a tile of filters, and
pooled at once. Backward to the weights, the delta of such rows is made of the pooled gradient and the mask where the
first layer's weight gradient reads it (`kernels.weight_gradient_lanes`).

Letters and layout as in `kernels.convolution` and `kernels.pooling`.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.convolution import correlate_row
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.pooling import Pooled, whole_window
from cnntrain.shape import LANES


@kernel
def pooled_row(
    image, weights, bias, output, mask, z, place, b, y, group, k, w, rows, columns, pooled, channels, pair, filters,
    run, high, wide,
):  # fmt: skip
    """Compute one pooled row of one tile, by way of the rows of its windows at z[place:]."""
    width = len(filters) * LANES
    z_row = columns.output_size * width
    z_block = len(high) * z_row
    for q in range(len(high)):
        correlate_row(
            image, weights, bias, z, place + q * z_row, z_block, width, b, y * len(high) + q, group, k, w, rows,
            columns, channels, pair, filters, run,
        )  # fmt: skip
    output_width = channels.groups * channels.outputs * LANES
    for block in range(len(pair)):
        corner = place + block * z_block
        at = ((b + block) * pooled.rows + y) * pooled.columns * output_width
        at += (group * channels.outputs + k) * LANES
        for _ in range(pooled.columns):
            for f in range(0, width, LANES):
                whole_window(z, corner + f, z_row, width, output, mask, at + f, high, wide)
            corner += len(wide) * width
            at += output_width


@parallel_kernel
def correlate_and_pool(
    image, weights, bias, output, mask, scratch, workers, room, blocks, geometry, pair, tall, short, run, high, wide
):
    """Correlate the first `blocks` blocks as `correlate` does, and write the maxima and the mask of all windows.

    Parameters
    ----------
    image, weights, bias, pair, tall, short, run
        As in `correlate`; the weights begin at 0.
    output, mask : 1-D array
        (block, window row, window column, filter, lane), as in `max_pool`.
    scratch : 1-D array
        For each of the `workers`, `room` numbers: the rows of a window, of a tile and `len(pair)` blocks.
    geometry : tuple of (rows, columns, channels, tiles, pooled)
        Axis, Axis, Channels, Tiles and Pooled, each as a plain tuple.
    high, wide : tuple of int
        Only their lengths count: the window's.
    """
    rows, columns = Axis(*geometry[0]), Axis(*geometry[1])
    channels, tiles, pooled = Channels(*geometry[2]), Tiles(*geometry[3]), Pooled(*geometry[4])
    units = (blocks + len(pair) - 1) // len(pair) * pooled.rows
    taps = rows.taps * columns.taps * channels.inputs
    for index in prange(workers):
        worker = np.intp(index)
        place = worker * room
        for unit in range(worker * units // workers, (worker + 1) * units // workers):
            b, y = unit // pooled.rows * len(pair), unit % pooled.rows
            w = np.intp(0)
            for group in range(channels.groups):
                k = np.intp(0)
                for _ in range(tiles.tall):
                    pooled_row(
                        image, weights, bias, output, mask, scratch, place, b, y, group, k, w, rows, columns, pooled,
                        channels, pair, tall, run, high, wide,
                    )  # fmt: skip
                    k += len(tall)
                    w += taps * len(tall)
                for _ in range(tiles.short):
                    pooled_row(
                        image, weights, bias, output, mask, scratch, place, b, y, group, k, w, rows, columns, pooled,
                        channels, pair, short, run, high, wide,
                    )  # fmt: skip
                    k += len(short)
                    w += taps * len(short)
