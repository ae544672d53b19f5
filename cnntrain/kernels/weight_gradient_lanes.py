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

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, kernel, parallel_kernel, shared
from cnntrain.kernels.convolution import end_tap, first_tap
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.lanes import accumulate_lanes, constant, load, narrow_tile_load, store, tile_store
from cnntrain.kernels.pooling import Pooled, unpool
from cnntrain.kernels.weight_gradient import (
    Division,
    Pixels,
    Unit,
    add_sums,
    begin_biases,
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
    """What `by_lanes` reads and writes."""

    image: Any
    delta: Any
    mask: Any
    partial: Any
    biases: Any
    scratch: Any


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


@kernel
def work_of(number, geometry, filters, high, wide):
    """Return what a unit computes, and where."""
    division, channels, held = geometry.division, geometry.channels, held_of(geometry, high)
    unit = unit_of(number, division)
    first, last = share(unit.bundle, division.bundles, channels.outputs // filters)
    group = (unit.slot * channels.groups + unit.group) * channels.outputs
    place = number * room_by_lanes(geometry, filters, high, wide)
    partial = group * filter_size_by_lanes(geometry)
    return Work(unit, first * filters, last * filters, partial, group, place, held)


@kernel
def begin_sums(partial, biases, work, fresh, geometry):
    """Let the sums begin with zero if they are fresh: by a length, since a branch would make LLVM compile all twice."""
    size = filter_size_by_lanes(geometry)
    begin = work.partial + work.first * size
    for p in range(begin, begin + fresh * (work.last - work.first) * size, LANES):
        store(partial, p, constant(partial, 0))
    begin_biases(biases, work.biases + work.first, work.biases + work.last, fresh)


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


@kernel
def held_at(row, work):
    """Return where a row of the image, counted through the batch, is held."""
    return work.scratch + row % work.held.rows * work.held.size


@kernel
def bring_rows(image, scratch, work, row, top, copied, geometry):
    """Copy those rows of the image that a row of windows meets and that are not held yet; return what `copied` is then.

    They begin `top` rows below row number `row` of the batch, with which their image begins. Those before `copied` are
    held.
    """
    rows, columns, channels = geometry.rows, geometry.columns, geometry.channels
    width = channels.groups * channels.inputs * LANES
    end = row + min(top + work.held.rows, rows.input_size)
    for y in range(max(row + top, row, copied), end):
        copy_row_between_margins(image, y * columns.input_size * width, scratch, held_at(y, work), columns, width)
        copied = y + 1
    return copied


@kernel
def delta_of_windows(arrays, work, line, k, filters, geometry, high, wide):
    """Return the delta of a row of windows, for `filters` filters from k: as it lies, or made of the pooled gradient.

    The gradient of the biases is added on the way.
    """
    columns, channels, pooled = geometry.columns, geometry.channels, geometry.pooled
    step, width = channels.groups * channels.outputs * LANES, filters * LANES
    at = line * pooled.columns * step + (work.unit.group * channels.outputs + k) * LANES
    delta = Pixels(arrays.delta, at, step)
    for _ in range(min(arrays.biases.size, 1)):
        add_sums(delta, pooled.columns, filters, arrays.biases, work.biases + k)
    if len(high) * len(wide) == 1:
        return delta
    place = work.scratch + work.held.rows * work.held.size
    unpool(
        arrays.delta, arrays.mask, at, step, pooled.columns, arrays.scratch, place, columns.count * width, width, high,
        wide,
    )  # fmt: skip
    return Pixels(arrays.scratch, place, width)


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
            tile = accumulate_lanes(tile, image.array, x + lane, LANES, delta.array, d + lane, LANES)
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


@kernel
def unit_by_lanes(number, arrays, blocks, fresh, geometry, sizes):
    """Do one unit of `by_lanes`: some filters, some rows of windows of the batch's delta."""
    rows, columns, pooled = geometry.rows, geometry.columns, geometry.pooled
    filters, high, wide = len(sizes.filters), len(sizes.high), len(sizes.wide)
    work = work_of(number, geometry, filters, high, wide)
    begin_sums(arrays.partial, arrays.biases, work, fresh, geometry)
    copied = np.intp(0)
    begin, end = share(work.unit.slot, geometry.division.slots, blocks * pooled.rows)
    for line in range(begin, end):
        row = line // pooled.rows * rows.input_size
        top = line % pooled.rows * high * rows.stride + rows.offset
        copied = bring_rows(arrays.image, arrays.scratch, work, row, top, copied, geometry)
        for k in range(work.first, work.last, filters):
            delta = delta_of_windows(arrays, work, line, k, filters, geometry, sizes.high, sizes.wide)
            for q in range(high):
                of_row = Pixels(delta.array, delta.at + q * columns.count * delta.step, delta.step)
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
    geometry, sizes
        Geometry and Sizes, as plain tuples.
    """
    partial, biases = sums
    rows, columns, channels = Axis(*geometry[0]), Axis(*geometry[1]), Channels(*geometry[2])
    pooled, division, tiles = Pooled(*geometry[3]), Division(*geometry[4]), Tiles(*geometry[5])
    filters, tall, short, lanes, high, wide = sizes
    for index in prange(units_of(division, channels.groups)):
        unit_by_lanes(
            np.intp(index),
            Arrays(image, delta, mask, partial, biases, scratch),
            blocks,
            fresh,
            Geometry(rows, columns, channels, pooled, division, tiles),
            Sizes(filters, tall, short, lanes, high, wide),
        )
