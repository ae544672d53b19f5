"""Where paths through the network meet: adding activations, and putting their channels side by side.

Layout (block, row, column, channel, lane); a *pixel* is one (block, row, column). Arrays are flat. Each forward loop
has its backward directly below it, unless both are the same loop: the gradient of a sum goes to every summand
unchanged, and the gradients that come back from several paths are added.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import parallel_kernel
from cnntrain.kernels.elementwise import elementwise
from cnntrain.kernels.geometry import ChannelCopy, Subsampling
from cnntrain.kernels.lanes import load, store
from cnntrain.kernels.work import UNITS, share
from cnntrain.shape import LANES


@elementwise
def add(a, b):
    """Return a + b."""
    return a + b


@parallel_kernel
def add_subsampled(a, image, total, blocks, geometry):
    """total = a + (the image subsampled, with zero channels behind its own); `geometry`: see `Subsampling`."""
    g = Subsampling(*geometry)
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
def add_subsampled_backward(grad_output, grad_a, grad_image, blocks, geometry):
    """grad_image = grad_a + (grad_output at the pixels and channels that were taken, zero at the others)."""
    g = Subsampling(*geometry)
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
def copy_channels(source, target, pixels, geometry):
    """Copy a run of channels of every pixel: forward into the joined image, backward out of its gradient."""
    g = ChannelCopy(*geometry)
    for index in prange(UNITS):
        begin, end = share(np.intp(index), UNITS, pixels)
        for pixel in range(begin, end):
            read = (pixel * g.channels + g.first) * LANES
            write = (pixel * g.target_channels + g.target_first) * LANES
            for c in range(0, g.copied * LANES, LANES):
                store(target, write + c, load(source, read + c))
