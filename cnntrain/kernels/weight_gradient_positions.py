"""Backward to the weights by positions: vectors of 16 positions times numbers.

Letters, words and law as in `kernels.weight_gradient`. It takes one row of the image at a time, transposes it, so that
16 positions make a vector, and goes through the rows of the delta that read it. A dense layer is the case of a single
row and a single tap, with a column for each block.

Sums (`partial`)
    [slot, group, filter, r, run, position of the run]
    A run is filled up to whole tiles. Where each tile holds a whole sum (a dense layer), the last one may begin sooner
    instead, and nothing is filled up.

Scratch memory of a unit (`room_by_positions`)
    a row of the image between margins, as [lane, x, channel]
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, kernel, outer_kernel, parallel_kernel, shared
from cnntrain.kernels.convolution import first_tap
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.lanes import (
    accumulate,
    constant,
    memory,
    put,
    store,
    store_transposed,
    take,
    tile_load,
    tile_store,
    tile_zero,
)
from cnntrain.kernels.weight_gradient import (
    Batch,
    Division,
    Pixels,
    Unit,
    add_sums,
    clear_biases,
    row_length,
    runs_of,
    unit_of,
    units_of,
)
from cnntrain.kernels.work import first_of_tile, share, some_tiles
from cnntrain.shape import LANES


class Lengths(NamedTuple):
    """What else a pass chooses."""

    stretch: int  # pixels of a row that meet all filters and positions before the next do
    filled: int  # numbers that a run takes among the sums


class Geometry(NamedTuple):
    """The forward pass, and how the work is cut."""

    rows: Axis
    columns: Axis
    channels: Channels
    division: Division
    tiles: Tiles  # of a group's filters
    lengths: Lengths


class Sizes(NamedTuple):
    """Dummy tuples of which only the lengths count."""

    vectors: tuple[int, ...]  # of 16 positions, of a tile
    tall: tuple[int, ...]  # filters of a tile
    short: tuple[int, ...]


class Arrays(NamedTuple):
    """What `by_positions` reads and writes: the `memory` of each."""

    image: object
    delta: object
    partial: object
    biases: object
    scratch: object


class Row(NamedTuple):
    """Where a row of the image lies transposed: some channels of all pixels, lanes `lane_step` apart."""

    at: int
    first: int  # channel
    width: int  # channels of a pixel
    lane_step: int


class Work(NamedTuple):
    """What a unit computes, and where: some filters and positions of a group, from the rows of a slot."""

    unit: Unit
    tiles: tuple[int, int]  # of filters: the first, and the one behind the last
    filters: tuple[int, int]
    positions: tuple[int, int]  # of a run
    filter_size: int  # of the sums
    partial: int  # where the sums of its slot and group begin
    biases: int
    biased: int  # 1 where it adds the delta to the biases, else 0
    whole: bool  # each tile holds a whole sum


# --- sizes ----------------------------------------------------------------------------------------------------------


@shared
def tiles_of_run(length, vectors):
    """Return how many tiles of `vectors` vectors hold a run of positions."""
    return (length + vectors * LANES - 1) // (vectors * LANES)


@shared
def filled_run(length, vectors):
    """Return a run's length, filled up to whole tiles of `vectors` vectors."""
    return tiles_of_run(length, vectors) * vectors * LANES


@shared
def lane_stride(size):
    """Return the distance between lanes of a transposed row: room to read past its end, and an odd number of lines.

    A power of two would put all lanes into the same few places of the cache.
    """
    return (size // LANES + 3 | 1) * LANES


@shared
def room_by_positions(geometry, vectors):
    """Return the numbers of scratch memory that a unit needs, for tiles of `vectors` vectors.

    It transposes all channels of the image, or where runs are cut into chunks those of its tiles and of one more.
    """
    columns, channels, chunks = geometry.columns, geometry.channels, geometry.division.chunks
    tiles = tiles_of_run(runs_of(columns, channels).length, vectors)
    chunk = ((tiles + chunks - 1) // chunks + 1) * vectors * LANES
    width = channels.groups * channels.inputs if chunks == 1 else chunk
    return lane_stride(row_length(columns) * width) * LANES


@shared
def last_tile(geometry, vectors):
    """Return the position of a run at which its last tile begins."""
    return geometry.lengths.filled - vectors * LANES


@shared
def filter_size_by_positions(geometry):
    """Return the numbers of a filter's sums."""
    return geometry.rows.taps * runs_of(geometry.columns, geometry.channels).number * geometry.lengths.filled


# --- steps ----------------------------------------------------------------------------------------------------------


@inlined_kernel
def work_of(number, batch, geometry, sizes):
    """Return what a unit computes, and where."""
    channels, division, tiles, lengths = geometry.channels, geometry.division, geometry.tiles, geometry.lengths
    unit, tile = unit_of(number, division), len(sizes.vectors) * LANES
    run = tiles_of_run(runs_of(geometry.columns, channels).length, len(sizes.vectors))
    first, last = share(unit.bundle, division.bundles, tiles.tall + tiles.short)
    k0 = first_of_tile(first, tiles, sizes.tall, sizes.short)
    k1 = first_of_tile(last, tiles, sizes.tall, sizes.short)
    begin, end = share(unit.chunk, division.chunks, run)
    group, size = (unit.slot * channels.groups + unit.group) * channels.outputs, filter_size_by_positions(geometry)
    # where a single stretch makes a whole sum, a tile begins with zero: nothing is read, and the last vectors may
    # overlap those before, even of another unit, which computes the same sums in the same order
    single = division.slots * batch.blocks * geometry.rows.input_size == 1 and size == lengths.filled
    whole = batch.fresh and single and geometry.columns.count <= lengths.stretch
    biased = batch.biased if unit.chunk == 0 else 0
    return Work(
        unit, (first, last), (k0, k1), (begin * tile, end * tile), size, group * size, group, biased, whole
    )  # fmt: skip


@inlined_kernel
def row_of(number, work, geometry, sizes):
    """Return where a unit transposes rows of the image: all of a pixel's channels, or with chunks those it needs."""
    channels, columns = geometry.channels, geometry.columns
    first, width = 0, channels.groups * channels.inputs
    if geometry.division.chunks > 1:
        first = min(work.positions[0], last_tile(geometry, len(sizes.vectors)))
        width = min(work.positions[1], runs_of(columns, channels).length) - first
    place = number * room_by_positions(geometry, len(sizes.vectors))
    return Row(place, first, width, lane_stride(row_length(columns) * width))


@inlined_kernel
def begin_sums(arrays, work, fresh, filled):
    """Let the sums begin with zero if they are fresh, but not where tiles begin so."""
    k0, k1 = work.filters
    begin, end = work.partial + k0 * work.filter_size, work.partial + k1 * work.filter_size
    for run in range(begin, begin if work.whole else begin + fresh * (end - begin), filled):
        for p in range(run + work.positions[0], run + work.positions[1], LANES):
            store(arrays.partial, p, constant(arrays.partial, 0))
    clear_biases(arrays.biases, work.biases + k0, work.biases + k0 + fresh * work.biased * (k1 - k0))


@inlined_kernel
def clear_columns(target, row, begin, end):
    """Write zeros to a transposed row from number `begin` to before `end` of each lane, in whole vectors."""
    for p in range(begin, end, LANES):
        for lane in range(LANES):
            store(target, row.at + lane * row.lane_step + p, constant(target, 0))


@kernel
def transpose_row(image, source, target, row, columns, channels):
    """Transpose an image row of `channels` channels from `source` to target[row.at:], zeros where taps overhang."""
    total, width = row_length(columns), row.width
    begin = min(-columns.offset, total)
    end = min(begin + columns.input_size, total)
    # whole vectors of zeros, which reach into the pixels (written after them) and into the room after the row
    clear_columns(target, row, np.intp(0), begin * width)
    clear_columns(target, row, end * width, total * width + LANES)
    # all channels of all pixels lie side by side; some channels of a pixel are a piece of their own
    pieces, length = (1, (end - begin) * width) if width == channels else (end - begin, width)
    for piece in range(pieces):
        from_ = source + (piece * channels + row.first) * LANES
        to = row.at + (begin + piece) * width
        whole = length // LANES * LANES
        for q in range(0, whole, LANES):
            store_transposed(target, to + q, row.lane_step, image, from_ + q * LANES, LANES)
        for q in range(whole, length):
            for lane in range(LANES):
                put(target, to + lane * row.lane_step + q, take(image, from_ + q * LANES + lane))


@inlined_kernel
def output_row(rows, row, r):
    """Return the output row that reads image row `row` through tap r, or -1 if none does."""
    distance = row - rows.offset - r * rows.dilation
    y = distance // rows.stride
    return y if distance >= 0 and y * rows.stride == distance and y < rows.count else -1


@kernel
def add_tile(stretch, k, filters):
    """Add a stretch of the delta to the sums of some filters: vectors of 16 positions times each of the lanes."""
    sums, image, lane_step, delta, count, whole, vectors = stretch
    at = sums.at + k * sums.step
    if whole:
        tile = tile_zero(sums.memory, vectors, filters)
    else:
        tile = tile_load(sums.memory, at, LANES, sums.step, vectors, filters)
    x, d = image.at, delta.at + k * LANES
    for _ in range(count):
        for lane in range(LANES):
            tile = accumulate(tile, image.memory, x + lane * lane_step, LANES, delta.memory, d + lane, LANES)
        x += image.step
        d += delta.step
    tile_store(sums.memory, at, LANES, sums.step, tile)


@inlined_kernel
def add_stretch(sums, image, delta, count, work, row, geometry, sizes):
    """Add `count` pixels of a row of the delta to the sums of a run: all vectors of positions times all filters.

    `sums` has filters in place of pixels.
    """
    first, last = work.tiles
    for position in range(work.positions[0], work.positions[1], len(sizes.vectors) * LANES):
        p = min(position, last_tile(geometry, len(sizes.vectors)))
        of_run = Pixels(sums.memory, sums.at + p, sums.step)
        pixels = Pixels(image.memory, image.at + p - row.first, image.step)
        state = of_run, pixels, row.lane_step, delta, count, work.whole, sizes.vectors
        some_tiles(add_tile, state, first, last, geometry.tiles, sizes.tall, sizes.short)


@inlined_kernel
def add_to_tap_row(arrays, work, row, line, y, r, geometry, sizes):
    """Add row y of the delta to the sums of tap row r, which reads row `line` of the batch's images for it.

    The first tap row that reads any adds the delta to the biases. A stretch of the row stays in the L1 cache while all
    filters and positions pass.
    """
    rows, columns, channels, stretch = geometry.rows, geometry.columns, geometry.channels, geometry.lengths.stretch
    inputs, width = channels.groups * channels.inputs, channels.groups * channels.outputs * LANES
    group, (k0, k1), runs = work.unit.group, work.filters, runs_of(columns, channels)
    biased = work.biased if r == first_tap(rows, y * rows.stride + rows.offset) else 0
    d = (line // rows.input_size * rows.count + y) * columns.count * width + group * channels.outputs * LANES
    for run in range(runs.number):
        x = row.at + run * columns.dilation * inputs + group * channels.inputs
        at = work.partial + (r * runs.number + run) * geometry.lengths.filled
        sums = Pixels(arrays.partial, at, work.filter_size)
        for j in range(0, columns.count, stretch):
            count = min(stretch, columns.count - j)
            for _ in range(biased if run == 0 else 0):
                own = Pixels(arrays.delta, d + j * width + k0 * LANES, width)
                add_sums(own, count, k1 - k0, arrays.biases, work.biases + k0)
            image = Pixels(arrays.scratch, x + j * columns.stride * row.width, columns.stride * row.width)
            delta = Pixels(arrays.delta, d + j * width, width)
            add_stretch(sums, image, delta, count, work, row, geometry, sizes)


@outer_kernel
def unit_by_positions(number, arrays, batch, plain, sizes):
    """Do one unit of `by_positions`: some filters, some positions, some rows of the batch's images."""
    rows, columns, channels = Axis(*plain[0]), Axis(*plain[1]), Channels(*plain[2])
    geometry = Geometry(rows, columns, channels, Division(*plain[3]), Tiles(*plain[4]), Lengths(*plain[5]))
    inputs = channels.groups * channels.inputs
    work = work_of(number, batch, geometry, sizes)
    row = row_of(number, work, geometry, sizes)
    begin_sums(arrays, work, batch.fresh, geometry.lengths.filled)
    begin, end = share(work.unit.slot, geometry.division.slots, batch.blocks * rows.input_size)
    for line in range(begin, end):
        source = line * columns.input_size * inputs * LANES
        transpose_row(arrays.image, source, arrays.scratch, row, columns, inputs)
        for r in range(rows.taps):
            y = output_row(rows, line % rows.input_size, r)
            if y >= 0:
                add_to_tap_row(arrays, work, row, line, y, r, geometry, sizes)


@parallel_kernel
def by_positions(image, delta, sums, scratch, blocks, fresh, geometry, sizes):
    """Add the products of the first `blocks` blocks to the sums.

    Rows of the delta whose taps all lie on the padding are not visited, and not added to the biases. Parameters as
    those of `by_lanes`, but without a pooling.
    """
    partial, biases = sums
    rows, columns, channels, division, tiles, lengths = geometry  # apart: tuples in tuples do not enter a parallel loop
    vectors, tall, short = sizes
    for index in prange(units_of(Division(*division), channels[0])):
        arrays = Arrays(memory(image), memory(delta), memory(partial), memory(biases), memory(scratch))
        batch = Batch(blocks, fresh, min(biases.size, 1))
        plain = rows, columns, channels, division, tiles, lengths
        unit_by_positions(np.intp(index), arrays, batch, plain, Sizes(vectors, tall, short))
