"""Backward to the weights by lanes: lane vector times lane vector, lanes are added once at the end.

Letters, words and law as in `kernels.weight_gradient`. It goes through the batch by rows of the delta, each of which is
read once, and holds all rows of the image that one of them meets: it is for layers whose image has fewer numbers than
their delta. Where max-pooling follows, it takes the gradient behind it, and makes the delta of a row of windows itself;
else a row of windows is a row of the delta.

Sums (`partial`)
    [slot, group, tile of filters, r, run, position of the run, filter of the tile, lane]

Scratch memory of a unit (`room_by_lanes`)
    the rows of the image that a row of windows meets, between margins; then the delta of a row of windows
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, kernel, outer_kernel, parallel_kernel, shared
from cnntrain.kernels.convolution import end_tap, first_tap
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.lanes import accumulate_lanes, constant, load, memory, narrow_tile_load, store, tile_store
from cnntrain.kernels.pooling import Pooled, Windows, unpool
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
from cnntrain.kernels.work import each_tile, share
from cnntrain.shape import LANES


class Geometry(NamedTuple):
    """The forward pass, the windows of the pooling behind it, and how the work is cut."""

    rows: Axis
    columns: Axis
    channels: Channels
    pooled: Pooled  # rows and columns of windows: without a pooling those of the delta
    division: Division
    tiles: Tiles  # of a run of positions


class Sizes(NamedTuple):
    """Dummy tuples of which only the lengths count."""

    filters: tuple[int, ...]  # of a tile
    tall: tuple[int, ...]  # positions of a tile
    short: tuple[int, ...]
    lanes: tuple[int, ...]  # of a register
    high: tuple[int, ...]  # rows of a window; 1 x 1 without a pooling
    wide: tuple[int, ...]


class Arrays(NamedTuple):
    """What `by_lanes` reads and writes: the `memory` of each."""

    image: object
    delta: object
    mask: object
    partial: object
    biases: object
    scratch: object


class Held(NamedTuple):
    """The rows of the image that a row of windows meets: how many, and the numbers of each between its margins."""

    rows: int
    size: int


class Work(NamedTuple):
    """What a unit computes, and where: some filters of a group, from the rows of a slot."""

    unit: Unit
    first: int  # filter
    last: int  # and the one behind the last
    partial: int  # where the sums of its slot and group begin
    biases: int
    scratch: int  # where its room begins
    held: Held


@shared
def held_of(geometry, high):
    """Return what rows are held for windows that are `high` pixels high."""
    rows, channels = geometry.rows, geometry.channels
    number = (high - 1) * rows.stride + (rows.taps - 1) * rows.dilation + 1
    return Held(number, row_length(geometry.columns) * channels.groups * channels.inputs * LANES)


@shared
def room_by_lanes(geometry, filters, high, wide):
    """Return the numbers of scratch memory that a unit needs, for tiles of `filters` filters and such windows."""
    held = held_of(geometry, high)
    delta = high * geometry.columns.count * filters * LANES if high * wide > 1 else 0
    return held.rows * held.size + delta


@shared
def filter_size_by_lanes(geometry):
    """Return the numbers of a filter's sums."""
    runs = runs_of(geometry.columns, geometry.channels)
    return geometry.rows.taps * runs.number * runs.length * LANES


@inlined_kernel
def work_of(number, geometry, sizes):
    """Return what a unit computes, and where."""
    division, channels, filters = geometry.division, geometry.channels, len(sizes.filters)
    high, wide = len(sizes.high), len(sizes.wide)
    unit = unit_of(number, division)
    first, last = share(unit.bundle, division.bundles, channels.outputs // filters)
    group = (unit.slot * channels.groups + unit.group) * channels.outputs
    partial, place = group * filter_size_by_lanes(geometry), number * room_by_lanes(geometry, filters, high, wide)
    return Work(unit, first * filters, last * filters, partial, group, place, held_of(geometry, high))


@inlined_kernel
def begin_sums(arrays, work, batch, geometry):
    """Let the sums begin with zero if they are fresh: by a length, since a branch would make LLVM compile all twice."""
    size, first, count = filter_size_by_lanes(geometry), work.first, batch.fresh * (work.last - work.first)
    for p in range(work.partial + first * size, work.partial + (first + count) * size, LANES):
        store(arrays.partial, p, constant(arrays.partial, 0))
    clear_biases(arrays.biases, work.biases + first, work.biases + first + batch.biased * count)


@kernel
def copy_row_between_margins(image, source, target, at, columns, width):
    """Copy one image row from `source` to target[at:], with zeros where taps overhang."""
    zero = constant(image, 0)
    total = row_length(columns) * width
    begin = min(-columns.offset * width, total)
    end = min(begin + columns.input_size * width, total)
    for p in range(0, begin, LANES):
        store(target, at + p, zero)
    for p in range(begin, end, LANES):
        store(target, at + p, load(image, source + p - begin))
    for p in range(end, total, LANES):
        store(target, at + p, zero)


@inlined_kernel
def held_at(row, work):
    """Return where a row of the image, counted through the batch, is held."""
    return work.scratch + row % work.held.rows * work.held.size


@inlined_kernel
def bring_rows(arrays, work, row, top, copied, geometry):
    """Copy those rows of the image that a row of windows meets and that are not held yet; return what `copied` is then.

    They begin `top` rows below row number `row` of the batch, with which their image begins. Those before `copied` are
    held.
    """
    rows, columns, channels = geometry.rows, geometry.columns, geometry.channels
    width = channels.groups * channels.inputs * LANES
    for y in range(max(row + top, row, copied), row + min(top + work.held.rows, rows.input_size)):
        source = y * columns.input_size * width
        copy_row_between_margins(arrays.image, source, arrays.scratch, held_at(y, work), columns, width)
        copied = y + 1
    return copied


@inlined_kernel
def delta_of_windows(arrays, work, line, k, biased, geometry, sizes):
    """Return the delta of a row of windows, for a tile of filters from k: as it lies, or made of the pooled gradient.

    The gradient of the biases is added on the way.
    """
    columns, channels, pooled = geometry.columns, geometry.channels, geometry.pooled
    step, filters = channels.groups * channels.outputs * LANES, len(sizes.filters)
    at = line * pooled.columns * step + (work.unit.group * channels.outputs + k) * LANES
    delta = Pixels(arrays.delta, at, step)
    for _ in range(biased):
        add_sums(delta, pooled.columns, filters, arrays.biases, work.biases + k)
    if len(sizes.high) * len(sizes.wide) == 1:
        return delta
    windows = Windows(at, step, pooled.columns, filters * LANES)
    place, line_size = work.scratch + work.held.rows * work.held.size, columns.count * filters * LANES
    unpool(arrays.delta, arrays.mask, windows, arrays.scratch, place, line_size, sizes.high, sizes.wide)
    return Pixels(arrays.scratch, place, filters * LANES)


@kernel
def add_tile(row, position, positions):
    """Add a row of the delta to the sums of some positions of a run: their lane vectors times those of the filters.

    An accumulator has as many lanes as a register, and takes the 16 lanes in turn: with all 16 in two registers, there
    would be room for half as many, and more to load for each multiply-add.
    """
    partial, at, image, delta, count, filters, lanes = row
    at += position * len(filters) * LANES
    tile = narrow_tile_load(partial, at, len(filters) * LANES, LANES, positions, filters, lanes)
    x, d = image.at + position * LANES, delta.at
    for _ in range(count):
        for lane in range(0, LANES, len(lanes)):
            tile = accumulate_lanes(tile, image.memory, x + lane, LANES, delta.memory, d + lane, LANES)
        d += delta.step
        x += image.step
    tile_store(partial, at, len(filters) * LANES, LANES, tile)


@inlined_kernel
def add_to_taps(arrays, work, k, delta, row, y, geometry, sizes):
    """Add a row of the delta to the sums of all taps, for a tile of filters from k.

    Tap 0 reads y rows below row number `row` of the batch, with which the image begins.
    """
    rows, columns, channels = geometry.rows, geometry.columns, geometry.channels
    runs, width = runs_of(columns, channels), channels.inputs * LANES
    sums = work.partial + k * filter_size_by_lanes(geometry)
    for r in range(first_tap(rows, y), end_tap(rows, y)):
        held = held_at(row + y + r * rows.dilation, work)
        for run in range(runs.number):
            x = held + (run * columns.dilation * channels.groups + work.unit.group) * width
            image = Pixels(arrays.scratch, x, columns.stride * channels.groups * width)
            at = sums + (r * runs.number + run) * runs.length * len(sizes.filters) * LANES
            state = arrays.partial, at, image, delta, columns.count, sizes.filters, sizes.lanes
            each_tile(add_tile, state, geometry.tiles, sizes.tall, sizes.short)


@outer_kernel
def unit_by_lanes(number, arrays, batch, plain, sizes):
    """Do one unit of `by_lanes`: some filters, some rows of windows of the batch's delta."""
    rows, columns, pooled = Axis(*plain[0]), Axis(*plain[1]), Pooled(*plain[3])
    geometry = Geometry(rows, columns, Channels(*plain[2]), pooled, Division(*plain[4]), Tiles(*plain[5]))
    filters, high = len(sizes.filters), len(sizes.high)
    work = work_of(number, geometry, sizes)
    begin_sums(arrays, work, batch, geometry)
    copied = np.intp(0)
    begin, end = share(work.unit.slot, geometry.division.slots, batch.blocks * pooled.rows)
    for line in range(begin, end):
        row = line // pooled.rows * rows.input_size
        top = line % pooled.rows * high * rows.stride + rows.offset
        copied = bring_rows(arrays, work, row, top, copied, geometry)
        for k in range(work.first, work.last, filters):
            delta = delta_of_windows(arrays, work, line, k, batch.biased, geometry, sizes)
            for q in range(high):
                of_row = Pixels(delta.memory, delta.at + q * columns.count * delta.step, delta.step)
                add_to_taps(arrays, work, k, of_row, row, top + q * rows.stride, geometry, sizes)


@parallel_kernel
def by_lanes(image, delta, mask, sums, scratch, blocks, fresh, geometry, sizes):
    """Add the products of the first `blocks` blocks to the sums.

    Parameters
    ----------
    image, delta : 1-D array, float32 or float64
        In the layout of `kernels.convolution`. Where max-pooling follows, delta is the gradient behind it.
    mask : 1-D array, int16
        The winner of each window of that pooling; else empty.
    sums : tuple of two 1-D arrays
        partial, and biases (slot, filter), to which the delta alone is added, or which is empty where nobody asks.
    scratch : 1-D array
        Room for all units.
    blocks : int
    fresh : bool
        The sums begin with zero; else with what they hold.
    geometry, sizes : tuple
        Geometry and Sizes; all that they contain comes as plain tuples.
    """
    partial, biases = sums
    rows, columns, channels, pooled, division, tiles = geometry  # apart: tuples in tuples do not enter a parallel loop
    filters, tall, short, lanes, high, wide = sizes
    for index in prange(units_of(Division(*division), channels[0])):
        arrays = Arrays(
            memory(image), memory(delta), memory(mask), memory(partial), memory(biases), memory(scratch)
        )  # fmt: skip
        batch = Batch(blocks, fresh, min(biases.size, 1))
        plain = rows, columns, channels, pooled, division, tiles
        unit_by_lanes(np.intp(index), arrays, batch, plain, Sizes(filters, tall, short, lanes, high, wide))
