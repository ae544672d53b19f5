"""What layers without a window of weights do to few images: lanes hold neighbouring numbers of an image.

An image is (row, column, channel), images one after the other. Each function reads its instruction from the table, from
`at` on, computes what the layer's own kernel does (named below), in the same order and with the same bits, and reads
and writes the arena. A vector at the end of a pixel's channels is written in part: what lies behind stays.
"""

from __future__ import annotations

from cnntrain.kernels import activations, smooth_activations
from cnntrain.kernels.average_pooling import extent
from cnntrain.kernels.compiler.jit import inlined_kernel, outer_kernel
from cnntrain.kernels.geometry import Axis
from cnntrain.kernels.instructions import ELU, GELU, GELU_TANH, LEAKY_RELU, RELU, SIGMOID, SILU, TANH
from cnntrain.kernels.lanes import constant, fma, lane_numbers, load, select, splat, store, take
from cnntrain.kernels.lanes.logarithm import power
from cnntrain.kernels.lanes.places import store_first
from cnntrain.kernels.pooling import wins
from cnntrain.shape import LANES


def _vectors(kernel):
    """Return the function of lane vectors that an element-wise kernel was made of."""
    return kernel.py_func.__globals__["operation"]


_relu, _leaky_relu = _vectors(activations.relu), _vectors(activations.leaky_relu)
_sigmoid, _tanh = _vectors(activations.sigmoid), _vectors(activations.tanh)
_elu, _silu = _vectors(smooth_activations.elu), _vectors(smooth_activations.silu)
_gelu, _gelu_tanh = _vectors(smooth_activations.gelu), _vectors(smooth_activations.gelu_tanh)
_softplus = _vectors(smooth_activations.softplus)


@inlined_kernel
def axis_at(table, at):
    """Read an Axis."""
    return Axis(
        take(table, at), take(table, at + 1), take(table, at + 2), take(table, at + 3), take(table, at + 4),
        take(table, at + 5), take(table, at + 6), take(table, at + 7), take(table, at + 8),
    )  # fmt: skip


@inlined_kernel
def write(arena, target, value, channels, c):
    """Write the vector of a pixel's channels from c on."""
    if c + LANES <= channels:
        store(arena, target + c, value)
    else:
        store_first(arena, target + c, value, channels - c)


@outer_kernel
def activate(values, table, at, images):
    """y = f(z), number by number: source, target, numbers of an image, f, where its settings are among the weights."""
    arena = values.arena
    source, target, size = take(table, at), take(table, at + 1), take(table, at + 2) * images
    f, settings = take(table, at + 3), take(table, at + 4)
    a, b = take(values.weights, settings), take(values.weights, settings + 1)
    if f == RELU:
        for i in range(0, size, LANES):
            store(arena, target + i, _relu(load(arena, source + i)))
    elif f == LEAKY_RELU:
        for i in range(0, size, LANES):
            store(arena, target + i, _leaky_relu(load(arena, source + i), a))
    elif f == SIGMOID:
        for i in range(0, size, LANES):
            store(arena, target + i, _sigmoid(load(arena, source + i)))
    elif f == TANH:
        for i in range(0, size, LANES):
            store(arena, target + i, _tanh(load(arena, source + i)))
    elif f == ELU:
        for i in range(0, size, LANES):
            store(arena, target + i, _elu(load(arena, source + i), a, b))
    elif f == SILU:
        for i in range(0, size, LANES):
            store(arena, target + i, _silu(load(arena, source + i)))
    elif f == GELU:
        for i in range(0, size, LANES):
            store(arena, target + i, _gelu(load(arena, source + i)))
    elif f == GELU_TANH:
        for i in range(0, size, LANES):
            store(arena, target + i, _gelu_tanh(load(arena, source + i)))
    else:
        for i in range(0, size, LANES):
            store(arena, target + i, _softplus(load(arena, source + i), a))


@outer_kernel
def add(values, table, at, images):
    """total = a + b: source, target, numbers of an image, the other source (`merging.add`)."""
    arena = values.arena
    source, target, size = take(table, at), take(table, at + 1), take(table, at + 2) * images
    other = take(table, at + 3)
    for i in range(0, size, LANES):
        store(arena, target + i, load(arena, source + i) + load(arena, other + i))


@outer_kernel
def per_channel(values, table, at, images):
    """y = (x - mean) factor + shift (`batch_norm.normalize`), or y = z where z > 0, slope z elsewhere (`prelu`).

    Source, target, pixels of an image, channels, where the numbers are among the weights, `step` for each array of
    them, whether they are slopes.
    """
    arena, weights = values.arena, values.weights
    source, target, pixels = take(table, at), take(table, at + 1), take(table, at + 2) * images
    channels, numbers, step, slopes = take(table, at + 3), take(table, at + 4), take(table, at + 5), take(table, at + 6)
    for p in range(pixels):
        for c in range(0, channels, LANES):
            x, first = load(arena, source + p * channels + c), load(weights, numbers + c)
            if slopes:
                y = select(x <= constant(x, 0), x * first, x)
            else:
                y = fma(x - first, load(weights, numbers + step + c), load(weights, numbers + 2 * step + c))
            write(arena, target + p * channels, y, channels, c)


@outer_kernel
def max_pool(values, table, at, images):
    """Take the maximum of each window (`pooling.max_pool`): source, target, where the axes are, channels."""
    arena = values.arena
    source, target, axes, channels = take(table, at), take(table, at + 1), take(table, at + 2), take(table, at + 3)
    rows, columns = axis_at(table, axes), axis_at(table, axes + 9)
    line = columns.input_size * channels
    for unit in range(images * rows.count):
        image, y = unit // rows.count, unit % rows.count
        row = y * rows.stride + rows.offset
        r0, r1 = max(-row, 0), min(rows.input_size - row, rows.taps)
        for x in range(columns.count):
            column = x * columns.stride + columns.offset
            s0, s1 = max(-column, 0), min(columns.input_size - column, columns.taps)
            corner = source + (image * rows.input_size + row) * line + column * channels
            for c in range(0, channels, LANES):
                best = load(arena, corner + r0 * line + s0 * channels + c)
                for r in range(r0, r1):
                    for s in range(s0, s1):
                        value = load(arena, corner + r * line + s * channels + c)
                        best = select(wins(value, best), value, best)
                write(arena, target + (unit * columns.count + x) * channels, best, channels, c)


@outer_kernel
def average_pool(values, table, at, images):
    """Take the mean of each window (`average_pooling.average_pool`): as `max_pool`, and whether padding counts."""
    arena = values.arena
    source, target, axes, channels = take(table, at), take(table, at + 1), take(table, at + 2), take(table, at + 3)
    count_padding = take(table, at + 4) != 0
    rows, columns = axis_at(table, axes), axis_at(table, axes + 9)
    line = columns.input_size * channels
    for unit in range(images * rows.count):
        image, y = unit // rows.count, unit % rows.count
        row = y * rows.stride + rows.offset
        r0, r1 = max(-row, 0), min(rows.input_size - row, rows.taps)
        for x in range(columns.count):
            column = x * columns.stride + columns.offset
            s0, s1 = max(-column, 0), min(columns.input_size - column, columns.taps)
            corner = source + (image * rows.input_size + row) * line + column * channels
            divisor = constant(arena, extent(rows, row, count_padding) * extent(columns, column, count_padding))
            for c in range(0, channels, LANES):
                total = constant(arena, 0)
                for r in range(r0, r1):
                    part = constant(arena, 0)
                    for s in range(s0, s1):
                        part = part + load(arena, corner + r * line + s * channels + c)
                    total = total + part
                write(arena, target + (unit * columns.count + x) * channels, total / divisor, channels, c)


@outer_kernel
def depthwise(values, table, at, images):
    """Correlate each channel with its own filter (`depthwise.depthwise`), the padding being part of the image.

    Source, target, places, weights (vector of channels, r, s, channel in vector), bias, positions of an image, rows,
    from a row to the next, columns, from a column to the next, channels.
    """
    arena, weights = values.arena, values.weights
    source, target, places = take(table, at), take(table, at + 1), take(table, at + 2)
    filters, bias, positions = take(table, at + 3), take(table, at + 4), take(table, at + 5) * images
    rows, row_step, columns = take(table, at + 6), take(table, at + 7), take(table, at + 8)
    column_step, channels = take(table, at + 9), take(table, at + 10)
    for n in range(positions):
        corner = source + take(values.places, places + n)
        for c in range(0, channels, LANES):
            z, w = load(weights, bias + c), filters + c * rows * columns
            for r in range(rows):
                x = corner + r * row_step + c
                for _ in range(columns):
                    z = fma(load(arena, x), load(weights, w), z)
                    x += column_step
                    w += LANES
            write(arena, target + n * channels, z, channels, c)


@outer_kernel
def bordered(values, table, at, images):
    """Put zeros around each image: source, target, rows, columns, channels, then zeros above, below, left and right."""
    arena = values.arena
    source, target, rows = take(table, at), take(table, at + 1), take(table, at + 2)
    channels = take(table, at + 4)
    line, above, below = take(table, at + 3) * channels, take(table, at + 5), take(table, at + 6)
    left, right = take(table, at + 7) * channels, take(table, at + 8) * channels
    wide = left + line + right
    for image in range(images):
        begin = target + image * (above + rows + below) * wide
        for i in range(0, above * wide + left, LANES):
            store(arena, begin + i, constant(arena, 0))
        for row in range(rows):
            x, y = source + (image * rows + row) * line, begin + (above + row) * wide + left
            for i in range(0, line, LANES):
                store(arena, y + i, load(arena, x + i))
            # up to the next row's pixels, or to the end: what the vectors before have left behind is written over
            for i in range(0, right + left if row < rows - 1 else right + below * wide, LANES):
                store(arena, y + line + i, constant(arena, 0))


@outer_kernel
def copy_channels(values, table, at, images):
    """Copy all channels of a source to those from a number on of a target (`merging.copy_channels`).

    Source, target (its first channel), pixels of an image, channels of the source, of the target.
    """
    arena = values.arena
    source, target, pixels = take(table, at), take(table, at + 1), take(table, at + 2) * images
    channels, width = take(table, at + 3), take(table, at + 4)
    for p in range(pixels):
        for c in range(0, channels, LANES):
            write(arena, target + p * width, load(arena, source + p * channels + c), channels, c)


@outer_kernel
def add_subsampled(values, table, at, images):
    """total = a + (every row_stride-th row and column_stride-th column of an image) (`merging.add_subsampled`).

    Source a, target, the image, then the fields of `Subsampling`; channels behind the image's own get a alone.
    """
    arena = values.arena
    source, target, other = take(table, at), take(table, at + 1), take(table, at + 2)
    channels, rows, columns, own = take(table, at + 3), take(table, at + 4), take(table, at + 5), take(table, at + 6)
    in_rows, in_columns = take(table, at + 7), take(table, at + 8)
    row_stride, column_stride = take(table, at + 9), take(table, at + 10)
    for unit in range(images * rows):
        image, y = unit // rows, unit % rows
        for x in range(columns):
            p = (unit * columns + x) * channels
            taken = other + ((image * in_rows + y * row_stride) * in_columns + x * column_stride) * own
            for c in range(0, channels, LANES):
                write(arena, target + p, load(arena, source + p + c), channels, c)
            for c in range(0, own, LANES):
                write(arena, target + p, load(arena, source + p + c) + load(arena, taken + c), own, c)


@outer_kernel
def local_response(values, table, at, images):
    """y = x (k + share * (sum of squares))**-beta (`local_response.local_response`), number by number over channels.

    Source, target, rows, columns, channels, reaches (row, column, channel), where share, beta, k are among the weights.
    """
    arena = values.arena
    source, target = take(table, at), take(table, at + 1)
    rows, columns, channels = take(table, at + 2), take(table, at + 3), take(table, at + 4)
    row_reach, column_reach, reach = take(table, at + 5), take(table, at + 6), take(table, at + 7)
    numbers = take(table, at + 8)
    share, beta, k = take(values.weights, numbers), take(values.weights, numbers + 1), take(values.weights, numbers + 2)
    for unit in range(images * rows):
        image, y = unit // rows, unit % rows
        for x in range(columns):
            p = (unit * columns + x) * channels
            for c in range(0, channels, LANES):
                total = constant(arena, 0)
                for r in range(max(y - row_reach, 0), min(y + row_reach + 1, rows)):
                    for s in range(max(x - column_reach, 0), min(x + column_reach + 1, columns)):
                        q = source + ((image * rows + r) * columns + s) * channels
                        for d in range(c - reach, c + reach + 1):
                            number = lane_numbers(d) + splat(d)
                            inside = (number >= splat(0)) & (number < splat(channels))
                            value = select(inside, load(arena, q + d), constant(arena, 0))
                            total = fma(value, value, total)
                size = fma(total, constant(arena, share), constant(arena, k))
                write(arena, target + p, load(arena, source + p + c) * power(size, -beta), channels, c)
