"""Average-pooling: the mean of each window forward, an equal share to each pixel backward.

Letters and layout as in `kernels.convolution`. A window's divisor is the product of two extents, one along each axis.
With `count_padding` an extent reaches over the zeros too, but never beyond the padded image: a last window that
`ceil_mode` lets hang over has a smaller divisor (the rule of Caffe's pooling_layer.cpp and of PyTorch's
count_include_pad). Without it only real pixels count.

Sums go along the columns first, then over the rows: their rounding errors stay small for windows as large as an image,
which is how the global average is computed.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, parallel_kernel
from cnntrain.kernels.convolution import end_tap, first_tap
from cnntrain.kernels.geometry import Axis
from cnntrain.kernels.lanes import constant, fma, load, store
from cnntrain.shape import LANES


@inlined_kernel
def extent(axis, base, count_padding):
    """Return how many places of the window that begins at `base` count along one axis."""
    if count_padding:
        return min(base + axis.taps, axis.input_size - axis.offset) - base
    return min(base + axis.taps, axis.input_size) - max(base, 0)


@parallel_kernel
def average_pool(image, output, blocks, channels, geometry, count_padding):
    """Take the mean of each window; output is (block, y, x, channel, lane), geometry as in `kernels.pooling`."""
    rows, columns = Axis(*geometry[0]), Axis(*geometry[1])
    for index in prange(blocks * rows.count):
        unit = np.intp(index)
        b, y = unit // rows.count, unit % rows.count
        row = y * rows.stride + rows.offset
        r0, r1 = first_tap(rows, row), end_tap(rows, row)
        for x in range(columns.count):
            column = x * columns.stride + columns.offset
            s0, s1 = first_tap(columns, column), end_tap(columns, column)
            corner = (b * rows.input_size + row) * columns.input_size + column
            divisor = constant(image, extent(rows, row, count_padding) * extent(columns, column, count_padding))
            for c in range(channels):
                total = constant(image, 0)
                for r in range(r0, r1):
                    line = constant(image, 0)
                    for s in range(s0, s1):
                        line = line + load(image, ((corner + r * columns.input_size + s) * channels + c) * LANES)
                    total = total + line
                store(output, ((unit * columns.count + x) * channels + c) * LANES, total / divisor)


@parallel_kernel
def average_pool_backward(grad_output, grad_input, blocks, channels, geometry, count_padding):
    """Give each pixel its share of the windows that it lies in; grad_input is all written."""
    rows, columns = Axis(*geometry[0]), Axis(*geometry[1])
    width, one = channels * LANES, grad_output.dtype.type(1)
    for index in prange(blocks * rows.input_size):
        unit = np.intp(index)
        b, row = unit // rows.input_size, unit % rows.input_size
        # windows y with y * stride + offset <= row < y * stride + offset + taps
        y1 = min((row - rows.offset) // rows.stride + 1, rows.count)
        y0 = max((row - rows.offset - rows.taps) // rows.stride + 1, 0)
        for column in range(columns.input_size):
            x1 = min((column - columns.offset) // columns.stride + 1, columns.count)
            x0 = max((column - columns.offset - columns.taps) // columns.stride + 1, 0)
            place = (unit * columns.input_size + column) * width
            for p in range(place, place + width, LANES):
                store(grad_input, p, constant(grad_output, 0))
            # window by window, all channels of each: what they add up to stays in the cache
            for y in range(y0, y1):
                high = extent(rows, y * rows.stride + rows.offset, count_padding)
                for x in range(x0, x1):
                    wide = extent(columns, x * columns.stride + columns.offset, count_padding)
                    share = constant(grad_output, one / grad_output.dtype.type(high * wide))
                    at = ((b * rows.count + y) * columns.count + x) * width
                    for c in range(0, width, LANES):
                        total = fma(load(grad_output, at + c), share, load(grad_input, place + c))
                        store(grad_input, place + c, total)
