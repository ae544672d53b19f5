"""Max-pooling: a mask of winners forward, routing by the mask backward.

Letters and layout as in `kernels.convolution`; tap (r, s) of a window has the number r * columns.taps + s.

Forward: the mask keeps the number of the winning tap, one int16 per lane. Ties: the first. A NaN wins over any number,
the first NaN over all; taps on the padding do not take part (there is no start value, so -inf and NaN are safe).
Backward: each input pixel collects the gradients of the windows that it won. Windows may overlap, and each unit owns
the input row that it writes. The law is that of max as a function of several variables: the gradient goes to the
argmax (LeCun et al. 1998; derived in docs/mathematics.md).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.convolution import end_tap, first_tap
from cnntrain.kernels.geometry import Axis
from cnntrain.kernels.lanes import constant, is_nan, load, negate, select, store
from cnntrain.shape import LANES


class Pooled(NamedTuple):
    """How many windows tile the image side by side, with nothing before them and maybe something after."""

    rows: int
    columns: int


class Rows(NamedTuple):
    """Where rows of pixels lie: the first number, and the distances of rows and of columns."""

    at: int
    row: int
    column: int


class Taps(NamedTuple):
    """Taps (r0, s0) to before (r1, s1) of a window with `width` taps in a row."""

    r0: int
    r1: int
    s0: int
    s1: int
    width: int


@kernel
def wins(value, best):
    """Tell in which lanes a value beats the best so far: it is larger, or the first NaN."""
    return negate((value <= best) | is_nan(best))


@kernel
def whole_window(image, corner, output, mask, to, high, wide):
    """Take the maximum of a window that lies inside the image; a loop of known length is unrolled."""
    best, winner = load(image, corner.at), constant(mask, 0)
    for r in range(len(high)):
        for s in range(len(wide)):
            value = load(image, corner.at + r * corner.row + s * corner.column)
            better = wins(value, best)
            best = select(better, value, best)
            winner = select(better, constant(mask, r * len(wide) + s), winner)
    store(output, to, best)
    store(mask, to, winner)


@kernel
def any_window(image, corner, output, mask, to, taps):
    """Take the maximum of the taps that are inside the image; `corner` is where tap (0, 0) would read."""
    first = corner.at + taps.r0 * corner.row + taps.s0 * corner.column
    best, winner = load(image, first), constant(mask, taps.r0 * taps.width + taps.s0)
    for r in range(taps.r0, taps.r1):
        for s in range(taps.s0, taps.s1):
            value = load(image, corner.at + r * corner.row + s * corner.column)
            better = wins(value, best)
            best = select(better, value, best)
            winner = select(better, constant(mask, r * taps.width + s), winner)
    store(output, to, best)
    store(mask, to, winner)


@parallel_kernel
def max_pool(image, output, mask, blocks, channels, geometry, sizes):
    """Take the maximum of each window; output and mask are (block, y, x, channel, lane).

    `geometry` is (rows, columns), each an Axis as a plain tuple. `sizes` is (high, wide), dummy tuples as long as a
    window that is small enough to be unrolled, or empty.
    """
    rows, columns = Axis(*geometry[0]), Axis(*geometry[1])
    high, wide = sizes
    pixel = channels * LANES
    line = columns.input_size * pixel
    for index in prange(blocks * rows.count):
        unit = np.intp(index)
        b, y = unit // rows.count, unit % rows.count
        row = y * rows.stride + rows.offset
        r0, r1 = first_tap(rows, row), end_tap(rows, row)
        for x in range(columns.count):
            column = x * columns.stride + columns.offset
            taps = Taps(r0, r1, first_tap(columns, column), end_tap(columns, column), columns.taps)
            at = (b * rows.input_size + row) * line + column * pixel
            to = (unit * columns.count + x) * pixel
            if len(high) > 0 and r1 - r0 == len(high) and taps.s1 - taps.s0 == len(wide):
                for c in range(0, pixel, LANES):
                    whole_window(image, Rows(at + c, line, pixel), output, mask, to + c, high, wide)
            else:
                for c in range(0, pixel, LANES):
                    any_window(image, Rows(at + c, line, pixel), output, mask, to + c, taps)


@kernel
def collect(grad_output, mask, grad_input, place, width, tap, at, first):
    """Give a pixel the gradients of a window that it won, as number `tap`; the first window writes, others add."""
    zero = constant(grad_output, 0)
    if first:
        for c in range(0, width, LANES):
            store(grad_input, place + c, select(load(mask, at + c) == tap, load(grad_output, at + c), zero))
    else:
        for c in range(0, width, LANES):
            routed = select(load(mask, at + c) == tap, load(grad_output, at + c), zero)
            store(grad_input, place + c, load(grad_input, place + c) + routed)


@parallel_kernel
def max_pool_backward(grad_output, mask, grad_input, blocks, channels, geometry):
    """Route each gradient to its winner; grad_input is (block, row, column, channel, lane), all of it written."""
    rows, columns = Axis(*geometry[0]), Axis(*geometry[1])
    width, zero = channels * LANES, constant(grad_output, 0)
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
            covered = y0 < y1 and x0 < x1
            for p in range(place, place if covered else place + width, LANES):
                store(grad_input, p, zero)
            # window by window, all channels of each: what they add up to stays in the cache
            for y in range(y0, y1):
                r = row - (y * rows.stride + rows.offset)
                for x in range(x0, x1):
                    tap = constant(mask, r * columns.taps + column - (x * columns.stride + columns.offset))
                    at = ((b * rows.count + y) * columns.count + x) * width
                    collect(grad_output, mask, grad_input, place, width, tap, at, y == y0 and x == x0)


class Windows(NamedTuple):
    """A row of `count` windows: some channels, `width` numbers of each, from `at` on, `step` numbers apart."""

    at: int
    step: int
    count: int  # type: ignore[assignment]  # hides the method of tuple, which nobody calls here
    width: int


@kernel
def unpool(grad_output, mask, windows, grad_input, place, row_size, high, wide):
    """Route the gradients of a row of windows that lie side by side; rows of grad_input lie `row_size` apart.

    They are written from `place` on without a gap. What lies behind the last window gets zero.
    """
    zero, width = constant(grad_output, 0), windows.width
    at = windows.at
    for x in range(windows.count):
        for c in range(0, width, LANES):
            g, winner = load(grad_output, at + c), load(mask, at + c)
            for r in range(len(high)):
                for s in range(len(wide)):
                    won = winner == constant(mask, r * len(wide) + s)
                    store(grad_input, place + r * row_size + (x * len(wide) + s) * width + c, select(won, g, zero))
        at += windows.step
    for r in range(len(high)):
        for p in range(place + r * row_size + windows.count * len(wide) * width, place + (r + 1) * row_size, LANES):
            store(grad_input, p, zero)


@parallel_kernel
def disjoint_max_pool_backward(grad_output, mask, grad_input, blocks, channels, geometry, sizes):
    """The same for windows that tile the image side by side: each pixel belongs to one, or at the far edges to none."""
    rows, columns = Axis(*geometry[0]), Axis(*geometry[1])
    high, wide = sizes
    width = channels * LANES
    row_size = columns.input_size * width
    for index in prange(blocks * rows.count):
        unit = np.intp(index)
        b, y = unit // rows.count, unit % rows.count
        windows = Windows(unit * columns.count * width, width, columns.count, width)
        first = (b * rows.input_size + y * len(high)) * row_size
        unpool(grad_output, mask, windows, grad_input, first, row_size, high, wide)
        if y == rows.count - 1:
            for place in range(first + len(high) * row_size, (b + 1) * rows.input_size * row_size, LANES):
                store(grad_input, place, constant(grad_output, 0))
