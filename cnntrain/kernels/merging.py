"""Where paths through the network meet: adding activations, and putting their channels side by side.

Layout (block, row, column, channel, lane); a *pixel* is one (block, row, column). Arrays are flat. Each forward loop
has its backward directly below it, unless both are the same loop: the gradient of a sum goes to every summand
unchanged, and the gradients that come back from several paths are added.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.activations import PARTS, span
from cnntrain.kernels.compiler.jit import parallel_kernel
from cnntrain.kernels.lanes import load, store
from cnntrain.shape import LANES


class ChannelCopy(NamedTuple):
    """Channels first ... first + copied - 1 of a source go to the channels from target_first on of a target."""

    copied: int
    channels: int
    first: int
    target_channels: int
    target_first: int


@parallel_kernel
def add(a, b, total, size):
    """Total = a + b; total may be a or b."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            store(total, i, load(a, i) + load(b, i))


@parallel_kernel
def add_subsampled(a, image, total, blocks, g):
    """Total = a + (the image subsampled, with zero channels behind its own)."""
    for index in prange(blocks * g.rows):
        unit = np.intp(index)
        b, y = unit // g.rows, unit % g.rows
        for x in range(g.columns):
            at = (unit * g.columns + x) * g.channels * LANES
            source = ((b * g.in_rows + y * g.row_stride) * g.in_columns + x * g.column_stride) * g.in_channels * LANES
            own = g.in_channels * LANES
            for c in range(0, own, LANES):
                store(total, at + c, load(a, at + c) + load(image, source + c))
            for c in range(own, g.channels * LANES, LANES):
                store(total, at + c, load(a, at + c))


@parallel_kernel
def add_subsampled_backward(grad_output, grad_a, grad_image, blocks, g):
    """grad_image = grad_a + (grad_output at the pixels and channels that were taken, zero at the others)."""
    for index in prange(blocks * g.in_rows):
        unit = np.intp(index)
        b, row = unit // g.in_rows, unit % g.in_rows
        for column in range(g.in_columns):
            at = (unit * g.in_columns + column) * g.in_channels * LANES
            if row % g.row_stride == 0 and column % g.column_stride == 0:
                y, x = row // g.row_stride, column // g.column_stride
                source = ((b * g.rows + y) * g.columns + x) * g.channels * LANES
                for c in range(0, g.in_channels * LANES, LANES):
                    store(grad_image, at + c, load(grad_a, at + c) + load(grad_output, source + c))
            else:
                for c in range(0, g.in_channels * LANES, LANES):
                    store(grad_image, at + c, load(grad_a, at + c))


@parallel_kernel
def copy_channels(source, target, pixels, g):
    """Copy a run of channels of every pixel: forward into the joined image, backward out of its gradient."""
    for index in prange(PARTS):
        part = np.intp(index)
        for pixel in range(part * pixels // PARTS, (part + 1) * pixels // PARTS):
            read = (pixel * g.channels + g.first) * LANES
            write = (pixel * g.target_channels + g.target_first) * LANES
            for c in range(0, g.copied * LANES, LANES):
                store(target, write + c, load(source, read + c))
