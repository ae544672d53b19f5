"""Max-pooling: a mask of winners forward, routing by the mask backward.

Letters and layout as in `kernels.convolution`; tap (r, s) of a window has the number r * columns.taps + s.

Forward: the mask keeps the number of the winning tap, one int16 per lane. Ties: the first. A NaN wins over any number,
the first NaN over all; taps on the padding do not take part (there is no start value, so -inf and NaN are safe).
Backward: each input pixel collects the gradients of the windows that it won. Windows may overlap, and each unit owns
the input row that it writes. The law is that of max as a function of several variables: the gradient goes to the
argmax (LeCun et al. 1998; derived in docs/mathematics.md).
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.convolution import end_tap, first_tap
from cnntrain.kernels.jit import parallel_kernel
from cnntrain.kernels.simd import LANES, constant, is_nan, load, negate, select, store


@parallel_kernel
def max_pool(image, output, mask, blocks, channels, rows, columns):
    """Take the maximum of each window; output and mask are (block, y, x, channel, lane)."""
    for index in prange(blocks * rows.count):
        unit = np.intp(index)
        b, y = unit // rows.count, unit % rows.count
        row = y * rows.stride + rows.offset
        r0, r1 = first_tap(rows, row), end_tap(rows, row)
        for x in range(columns.count):
            column = x * columns.stride + columns.offset
            s0, s1 = first_tap(columns, column), end_tap(columns, column)
            corner = (b * rows.input_size + row) * columns.input_size + column
            for c in range(channels):
                at = ((corner + r0 * columns.input_size + s0) * channels + c) * LANES
                best = load(image, at)
                winner = constant(mask, r0 * columns.taps + s0)
                for r in range(r0, r1):
                    for s in range(s0, s1):
                        value = load(image, ((corner + r * columns.input_size + s) * channels + c) * LANES)
                        better = (value > best) | (is_nan(value) & negate(is_nan(best)))
                        best = select(better, value, best)
                        winner = select(better, constant(mask, r * columns.taps + s), winner)
                at = ((unit * columns.count + x) * channels + c) * LANES
                store(output, at, best)
                store(mask, at, winner)


@parallel_kernel
def max_pool_backward(grad_output, mask, grad_input, blocks, channels, rows, columns):
    """Route each gradient to its winner; grad_input is (block, row, column, channel, lane), all of it written."""
    for index in prange(blocks * rows.input_size):
        unit = np.intp(index)
        b, row = unit // rows.input_size, unit % rows.input_size
        # windows y with y * stride + offset <= row < y * stride + offset + taps
        y1 = min((row - rows.offset) // rows.stride + 1, rows.count)
        y0 = max((row - rows.offset - rows.taps) // rows.stride + 1, 0)
        for column in range(columns.input_size):
            x1 = min((column - columns.offset) // columns.stride + 1, columns.count)
            x0 = max((column - columns.offset - columns.taps) // columns.stride + 1, 0)
            for c in range(channels):
                total = constant(grad_output, 0)
                for y in range(y0, y1):
                    r = row - (y * rows.stride + rows.offset)
                    for x in range(x0, x1):
                        s = column - (x * columns.stride + columns.offset)
                        at = (((b * rows.count + y) * columns.count + x) * channels + c) * LANES
                        won = load(mask, at) == constant(mask, r * columns.taps + s)
                        total = total + select(won, load(grad_output, at), constant(grad_output, 0))
                store(grad_input, ((unit * columns.input_size + column) * channels + c) * LANES, total)
