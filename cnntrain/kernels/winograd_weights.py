"""Backward to the weights by Winograd's algorithm; letters, layout and sizes as in `kernels.winograd`.

The outputs Y are linear in the filter g, so the gradient is the transposed map of the delta:

    dL/dg = Gt [ sum over patches and images of (A delta At) * (Bt d B) ] G

For each place of the patch the sum is a product of matrices, over patches and lanes. As in scheme B of
`kernels.weight_gradient_positions`, one side is transposed, so that 16 of its channels make a vector, and each lane of
the other is a number to broadcast. Here that is the delta, because its squares are smaller than patches.

The sums are partial[slot, p, channel, filter], filters filled up to whole tiles. A unit of work owns the sums of one
slot and one bundle of channels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel, shared
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.lanes import accumulate, constant, store, tile_load, tile_store
from cnntrain.kernels.weight_gradient import Division
from cnntrain.kernels.winograd import (
    PLACES,
    Geometry,
    Patches,
    Range,
    Series,
    Sizes,
    moved,
    patch_of,
    place_size,
)
from cnntrain.kernels.winograd_deltas import transform_transposed_squares, transposed_size
from cnntrain.kernels.winograd_images import MIDWAY, transform_patches
from cnntrain.kernels.work import first_of_tile, share, some_tiles
from cnntrain.shape import LANES


class Room(NamedTuple):
    """A worker's scratch memory: where its parts begin, and its size."""

    patches: Series  # the places of a stretch's patches, as (patch, channel of the bundle)
    deltas: Series  # those of its squares, as (square, lane, filter)
    midway: int
    size: int


class Arrays(NamedTuple):
    """What `weights_by_patches` reads and writes."""

    image: Any
    delta: Any
    partial: Any
    scratch: Any


class Unit(NamedTuple):
    """A unit of work and what it needs."""

    arrays: Arrays
    geometry: Geometry
    sizes: Sizes
    room: Room
    sums: int  # where those of its slot begin
    filled: int  # filters that they have
    tiles: Range  # of channels
    channels: Range


class Place(NamedTuple):
    """One place of a stretch's patches, and the vectors of filters of a register tile."""

    unit: Unit
    sums: int  # where those of channel 0 begin
    delta: int  # where the first square's begin
    patch: int  # where the first patch's begin
    patches: int  # how many


@shared
def filled_filters(filters, vectors):
    """Return how many filters the sums have: whole register tiles."""
    tile = len(vectors) * LANES
    return (filters + tile - 1) // tile * tile


@shared
def slot_size(inputs, filled):
    """Return how many numbers the sums of a slot are."""
    return PLACES * inputs * filled


@shared
def widest_bundle(tiles, bundles, tall):
    """Return how many channels a bundle has at most."""
    return (tiles.tall + tiles.short + bundles - 1) // bundles * len(tall)


@shared
def weights_room(worker, geometry, bundles, sizes):
    """Return a worker's room for `weights_by_patches`."""
    stretch, channels = geometry.patches.stretch, widest_bundle(geometry.tiles, bundles, sizes.tall)
    patch = place_size(stretch, channels)
    delta = place_size(stretch, filled_filters(geometry.channels.outputs, sizes.vectors))
    size = PLACES * (patch + delta) + max(MIDWAY, transposed_size(sizes.side))
    at = worker * size
    return Room(Series(at, patch), Series(at + PLACES * patch, delta), at + PLACES * (patch + delta), size)


@kernel
def clear_sums(unit, fresh):
    """Write zeros to the unit's sums if they are fresh."""
    partial, channels, filled = unit.arrays.partial, unit.channels, unit.filled
    for p in range(fresh * PLACES):
        sums = unit.sums + p * unit.geometry.channels.inputs * filled
        for at in range(sums + channels.begin * filled, sums + channels.end * filled, LANES):
            store(partial, at, constant(partial, 0))


@kernel
def transform_stretch(unit, patches):
    """Write Bt d B and A delta At of some patches."""
    arrays, geometry, room, side = unit.arrays, unit.geometry, unit.room, unit.sizes.side
    transform_patches(
        arrays.image, geometry, patches, unit.channels, arrays.scratch, room.patches, room.midway, side
    )  # fmt: skip
    for n in range(patches.begin, patches.end):
        target = moved(room.deltas, (n - patches.begin) * unit.filled * LANES)
        patch = patch_of(n, geometry.patches, side)
        transform_transposed_squares(
            arrays.delta, geometry, patch, arrays.scratch, target, unit.filled, room.midway, side
        )  # fmt: skip


@kernel
def multiply_by_lanes(place, c, channels):
    """Add the products of patches, lane by lane: vectors of 16 filters times numbers of channels, a tile of each."""
    unit = place.unit
    partial, scratch, filled = unit.arrays.partial, unit.arrays.scratch, unit.filled
    at, x_step = place.sums + c * filled, (unit.channels.end - unit.channels.begin) * LANES
    d, x = place.delta, place.patch + (c - unit.channels.begin) * LANES
    tile = tile_load(partial, at, LANES, filled, unit.sizes.vectors, channels)
    for _ in range(place.patches):
        for lane in range(LANES):
            tile = accumulate(tile, scratch, d + lane * filled, LANES, scratch, x + lane, LANES)
        d += LANES * filled
        x += x_step
    tile_store(partial, at, LANES, filled, tile)


@kernel
def add_stretch(unit, patches):
    """Add the products of some patches to the unit's sums, place by place."""
    geometry, sizes, room = unit.geometry, unit.sizes, unit.room
    for p in range(PLACES):
        sums, patch = unit.sums + p * geometry.channels.inputs * unit.filled, room.patches.at + p * room.patches.step
        for v in range(0, unit.filled, len(sizes.vectors) * LANES):
            delta = room.deltas.at + p * room.deltas.step + v
            place = Place(unit, sums + v, delta, patch, patches.end - patches.begin)
            some_tiles(
                multiply_by_lanes, place, unit.tiles.begin, unit.tiles.end, geometry.tiles, sizes.tall, sizes.short
            )  # fmt: skip


@kernel
def add_unit(unit, patches, fresh):
    """Add the products of some patches to a unit's sums, a stretch at a time."""
    clear_sums(unit, fresh)
    for first in range(patches.begin, patches.end, unit.geometry.patches.stretch):
        here = Range(first, min(first + unit.geometry.patches.stretch, patches.end))
        transform_stretch(unit, here)
        add_stretch(unit, here)


@parallel_kernel
def weights_by_patches(image, delta, partial, scratch, workers, blocks, fresh, geometry, sizes):
    """Add to partial[slot, p, channel, filter] the products of each place, summed over a slot's patches and lanes.

    Parameters
    ----------
    image, delta : 1-D array, float32 or float64
    partial : 1-D array
        A `slot_size` per slot.
    scratch : 1-D array
        A `weights_room` per worker.
    workers : int
        Any number gives the same bits.
    fresh : bool
        The sums begin with zero; else with what partial holds.
    geometry, sizes : tuple
        Geometry, of the forward pass with at least 16 filters, and with tiles of channels; behind its fields, Division
        (bundles and slots). Then Sizes. All that they contain comes as plain tuples.
    """
    rows, columns, channels = Axis(*geometry[0]), Axis(*geometry[1]), Channels(*geometry[2])
    patches, tiles, division = Patches(*geometry[3]), Tiles(*geometry[4]), Division(*geometry[5])
    side, vectors, tall, short = sizes
    for index in prange(workers):
        arrays = Arrays(image, delta, partial, scratch)
        whole, form = Geometry(rows, columns, channels, patches, tiles), Sizes(side, vectors, tall, short)
        room = weights_room(np.intp(index), whole, division.bundles, form)
        filled = filled_filters(channels.outputs, vectors)
        begin, end = share(np.intp(index), workers, division.bundles * division.slots)
        for number in range(begin, end):
            slot, bundle = number % division.slots, number // division.slots
            cut0, cut1 = share(bundle, division.bundles, tiles.tall + tiles.short)
            own = Range(first_of_tile(cut0, tiles, tall, short), first_of_tile(cut1, tiles, tall, short))
            first, last = share(slot, division.slots, blocks * patches.rows * patches.columns)
            sums = slot * slot_size(channels.inputs, filled)
            unit = Unit(arrays, whole, form, room, sums, filled, Range(cut0, cut1), own)
            add_unit(unit, Range(first, last), fresh)
