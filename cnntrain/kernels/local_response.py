"""Local response normalisation (Krizhevsky et al. 2012, section 3.3; the formulas of Caffe's lrn_layer.cpp).

    scale = k + alpha / n * sum of x**2 over a neighbourhood of n values,   y = x * scale**-beta

The neighbourhood is `size` channels of one pixel (across), or size x size pixels of one channel (within); what lies
outside the image counts as zero. Each value's gradient comes back from all outputs whose neighbourhood it is in:

    dL/dx = g scale**-beta - 2 alpha beta / n * x * sum of (g y / scale) over the same neighbourhood,   g = dL/dy

`share` is alpha / n. Layout (block, row, column, channel, lane); `geometry`: see `Neighbourhood`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, parallel_kernel
from cnntrain.kernels.elementwise import elementwise
from cnntrain.kernels.lanes import constant, fma, load, store
from cnntrain.kernels.lanes.logarithm import power
from cnntrain.shape import LANES


class Neighbourhood(NamedTuple):
    """The image's size, and how far a value's neighbourhood reaches to each side."""

    rows: int
    columns: int
    channels: int
    row_reach: int
    column_reach: int
    channel_reach: int


@inlined_kernel
def neighbourhood_sum(values, b, row, column, c, hood, squared):
    """Add up the values, or their squares, around one value; across the channels first."""
    total = constant(values, 0)
    for r in range(max(row - hood.row_reach, 0), min(row + hood.row_reach + 1, hood.rows)):
        for s in range(max(column - hood.column_reach, 0), min(column + hood.column_reach + 1, hood.columns)):
            pixel = ((b * hood.rows + r) * hood.columns + s) * hood.channels
            for k in range(max(c - hood.channel_reach, 0), min(c + hood.channel_reach + 1, hood.channels)):
                value = load(values, (pixel + k) * LANES)
                total = fma(value, value, total) if squared else total + value
    return total


@parallel_kernel
def local_response(x, y, scale, blocks, geometry, share, beta, k):
    """scale = k + share * (sum of squares); y = x * scale**-beta."""
    hood = Neighbourhood(*geometry)
    for index in prange(blocks * hood.rows):
        unit = np.intp(index)
        b, row = unit // hood.rows, unit % hood.rows
        for column in range(hood.columns):
            for c in range(hood.channels):
                at = ((unit * hood.columns + column) * hood.channels + c) * LANES
                squares = neighbourhood_sum(x, b, row, column, c, hood, True)
                size = fma(squares, constant(x, share), constant(x, k))
                store(scale, at, size)
                store(y, at, load(x, at) * power(size, -beta))


@elementwise
def local_response_ratios(g, y, scale):
    """Return g y / scale: what each output hands to its neighbourhood."""
    return g * y / scale


@parallel_kernel
def local_response_backward(grad_output, x, scale, ratios, grad_input, blocks, geometry, share, beta):
    """dL/dx = g scale**-beta - 2 share beta x (sum of ratios)."""
    hood = Neighbourhood(*geometry)
    for index in prange(blocks * hood.rows):
        unit = np.intp(index)
        b, row = unit // hood.rows, unit % hood.rows
        for column in range(hood.columns):
            for c in range(hood.channels):
                at = ((unit * hood.columns + column) * hood.channels + c) * LANES
                total = neighbourhood_sum(ratios, b, row, column, c, hood, False)
                direct = load(grad_output, at) * power(load(scale, at), -beta)
                through = load(x, at) * constant(x, -2 * share * beta)
                store(grad_input, at, fma(through, total, direct))
