"""Backward to the weights by scheme B: vectors of 16 positions times numbers.

Letters and law as in `kernels.weight_gradient`. It takes one row of the image at a time, transposes it to
(lane, x, c), so that 16 positions make a vector, and goes through the rows of the delta that it meets; tile = vectors
of positions x filters. A dense layer is the case of a single row and a single tap, with a column for each block.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.convolution import first_tap
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.lanes import accumulate, constant, store, store_transposed, tile_load, tile_store, tile_zero
from cnntrain.kernels.weight_gradient import Division, add_sums, row_length
from cnntrain.shape import LANES


@kernel
def output_row(rows, row, r):
    """Return the output row that reads image row `row` through tap r, or -1 if none does."""
    distance = row - rows.offset - r * rows.dilation
    y = distance // rows.stride
    return y if distance >= 0 and y * rows.stride == distance and y < rows.count else -1


@kernel
def lane_stride(size):
    """Return the distance between lanes of a transposed row: room to read past its end, and an odd number of lines.

    A power of two would put all lanes into the same few places of the cache.
    """
    return (size // LANES + 3 | 1) * LANES


@kernel
def transpose_row(image, source, target, at, step, columns, channels, first, width):
    """Transpose `width` channels from `first` of an image row to (lane, x, channel), zeros where taps overhang."""
    total = row_length(columns)
    begin = min(-columns.offset, total)
    end = min(begin + columns.input_size, total)
    # whole vectors of zeros, which reach into the pixels (written after them) and into the room after the row
    zero = constant(image, 0)
    for p in range(0, begin * width, LANES):
        for lane in range(LANES):
            store(target, at + lane * step + p, zero)
    for p in range(end * width, total * width + LANES, LANES):
        for lane in range(LANES):
            store(target, at + lane * step + p, zero)
    # all channels of all pixels lie side by side; some channels of a pixel are a stretch of their own
    stretches, length = (1, (end - begin) * width) if width == channels else (end - begin, width)
    for stretch in range(stretches):
        begin_source = source + (stretch * channels + first) * LANES
        begin_target = at + begin * width + stretch * width
        whole = length // LANES * LANES
        for q in range(0, whole, LANES):
            store_transposed(target, begin_target + q, step, image, begin_source + q * LANES, LANES)
        for q in range(whole, length):
            for lane in range(LANES):
                target[begin_target + lane * step + q] = image[begin_source + q * LANES + lane]


@kernel
def tile_by_positions(
    partial, at, filter_step, row, x, x_step, lane_step, delta, d, d_step, count, at_once, vectors, filters
):
    """Multiply `vectors` of 16 positions from row[x] with each lane of `filters` from delta[d], along a row."""
    if at_once:
        tile = tile_zero(partial, vectors, filters)
    else:
        tile = tile_load(partial, at, LANES, filter_step, vectors, filters)
    for _ in range(count):
        for lane in range(LANES):
            tile = accumulate(tile, row, x + lane * lane_step, LANES, delta, d + lane, LANES)
        x += x_step
        d += d_step
    tile_store(partial, at, LANES, filter_step, tile)


@kernel
def unit_by_positions(
    unit, image, delta, partial, sums, scratch, blocks, fresh, rows, columns, channels, division, tiles, pair, tall,
    short,
):  # fmt: skip
    """Do one unit of `by_positions`: some filters, some vectors of positions, some rows of the batch."""
    inputs, delta_width = channels.groups * channels.inputs, channels.groups * channels.outputs * LANES
    contiguous = columns.dilation == 1 and channels.groups == 1
    runs = 1 if contiguous else columns.taps
    length = columns.taps * channels.inputs if contiguous else channels.inputs
    pairs = (length + len(pair) * LANES - 1) // (len(pair) * LANES)
    filled = division.filled
    filter_step = rows.taps * runs * filled

    slot = unit % division.slots
    chunk = unit // division.slots % division.chunks
    bundle = unit // (division.slots * division.chunks) % division.bundles
    group = unit // (division.slots * division.chunks * division.bundles)
    cuts = tiles.tall + tiles.short
    begin, end = bundle * cuts // division.bundles, (bundle + 1) * cuts // division.bundles
    first = chunk * pairs // division.chunks * len(pair)
    last = (chunk + 1) * pairs // division.chunks * len(pair)
    base = (slot * channels.groups + group) * channels.outputs * filter_step
    k0 = min(begin, tiles.tall) * len(tall) + max(begin - tiles.tall, 0) * len(short)
    k1 = min(end, tiles.tall) * len(tall) + max(end - tiles.tall, 0) * len(short)
    # where a single stretch makes a whole sum, a tile begins with zero: nothing is read, and the last vectors may
    # overlap those before, even of another unit, which computes the same sums in the same order
    lines = blocks * rows.input_size
    at_once = fresh and division.slots * lines * rows.taps * runs == 1 and columns.count <= division.stretch
    for k in range(k0, k0 if at_once else k0 + fresh * (k1 - k0)):
        for tap in range(rows.taps * runs):
            for p in range(first * LANES, last * LANES, LANES):
                store(partial, base + k * filter_step + tap * filled + p, constant(image, 0))
    summed = min(sums.size, 1) if chunk == 0 else 0
    sums_at = (slot * channels.groups + group) * channels.outputs
    for k in range(sums_at + k0, sums_at + k0 + fresh * summed * (k1 - k0)):
        sums[np.uintp(k)] = 0

    rightmost = filled - len(pair) * LANES  # where the last vectors begin
    origin = 0 if division.chunks == 1 else min(first * LANES, rightmost)
    width = inputs if division.chunks == 1 else min(last * LANES, length) - origin
    lane_step = lane_stride(row_length(columns) * width)
    place = unit * (scratch.size // (channels.groups * division.bundles * division.chunks * division.slots))
    for line in range(slot * lines // division.slots, (slot + 1) * lines // division.slots):
        source = line * columns.input_size * inputs * LANES
        transpose_row(image, source, scratch, place, lane_step, columns, inputs, origin, width)
        for r in range(rows.taps):
            y = output_row(rows, line % rows.input_size, r)
            if y < 0:
                continue
            d = (line // rows.input_size * rows.count + y) * columns.count * delta_width
            d += group * channels.outputs * LANES
            once = summed if r == first_tap(rows, y * rows.stride + rows.offset) else 0
            for run in range(runs):
                start = place + run * columns.dilation * inputs + group * channels.inputs
                at = base + (r * runs + run) * filled
                # a stretch of the row stays in the L1 cache while all filters and positions pass
                for j in range(0, columns.count, division.stretch):
                    count = min(division.stretch, columns.count - j)
                    for _ in range(once if run == 0 else 0):
                        dk = d + j * delta_width + k0 * LANES
                        add_sums(delta, dk, delta_width, count, k1 - k0, sums, sums_at + k0)
                    for v in range(first, last, len(pair)):
                        p = min(v * LANES, rightmost)
                        x = start + j * columns.stride * width + p - origin
                        k = k0
                        for t in range(begin, end):
                            here, dk = at + p + k * filter_step, d + j * delta_width + k * LANES
                            if t < tiles.tall:
                                tile_by_positions(
                                    partial, here, filter_step, scratch, x, columns.stride * width, lane_step,
                                    delta, dk, delta_width, count, at_once, pair, tall,
                                )  # fmt: skip
                                k += len(tall)
                            else:
                                tile_by_positions(
                                    partial, here, filter_step, scratch, x, columns.stride * width, lane_step,
                                    delta, dk, delta_width, count, at_once, pair, short,
                                )  # fmt: skip
                                k += len(short)


@parallel_kernel
def by_positions(image, delta, partial, sums, scratch, blocks, fresh, geometry, pair, tall, short):
    """Scheme B: add to partial[slot, group, filter, r, (s, c) filled up].

    Runs are filled up to whole tiles; where a stretch is all there is, the last tile may begin sooner instead.
    Rows of the delta whose taps all lie on the padding are not visited, and not added to sums. Parameters as those of
    `by_lanes`, but scratch has room for one transposed row per unit, the tiles say how the filters are cut, and of
    pair, tall and short the lengths count: vectors of positions in a tile, and filters.
    """
    rows, columns, channels = Axis(*geometry[0]), Axis(*geometry[1]), Channels(*geometry[2])
    division, tiles = Division(*geometry[3]), Tiles(*geometry[4])
    for index in prange(channels.groups * division.bundles * division.chunks * division.slots):
        unit_by_positions(
            np.intp(index), image, delta, partial, sums, scratch, blocks, fresh, rows, columns, channels, division,
            tiles, pair, tall, short,
        )  # fmt: skip
