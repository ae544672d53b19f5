"""Backward to the weights by Winograd's algorithm; letters, layout and sizes as in `kernels.winograd`.

The outputs Y are linear in the filter g, so the gradient is the transposed map of the delta:

    dL/dg = Gt [ sum over patches and images of (A delta At) * (Bt d B) ] G

For each place of the patch the sum is a product of matrices, over patches and lanes. As in
`kernels.weight_gradient_positions`, one side is transposed, so that 16 of its channels make a vector, and each lane of
the other is a number to broadcast. Here that is the delta, because its squares are smaller than patches.

The sums are partial[slot, p, channel, filter], filters filled up to whole tiles. A unit of work owns the sums of one
slot and one bundle of channels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, outer_kernel, parallel_kernel, shared
from cnntrain.kernels.lanes import accumulate, constant, memory, store, tile_load, tile_store, tile_zero
from cnntrain.kernels.winograd import Geometry, Range, Series, Sizes, geometry_of, patch_of, place_size, places_of
from cnntrain.kernels.winograd_deltas import transform_transposed_squares, transposed_size
from cnntrain.kernels.winograd_images import midway_size, transform_patches
from cnntrain.kernels.work import first_of_tile, share, some_tiles
from cnntrain.shape import LANES


class Room(NamedTuple):
    """A worker's scratch memory: where its parts begin, and its size."""

    patches: Series  # the places of a stretch's patches, as (patch, channel of the bundle)
    deltas: Series  # those of its squares, as (square, lane, filter)
    midway: int
    size: int


class Arrays(NamedTuple):
    """What `weights_by_patches` reads and writes: the `memory` of each."""

    image: object
    delta: object
    partial: object
    scratch: object


class Unit(NamedTuple):
    """A unit of work: some channels, and a slot of the sums."""

    sums: int  # where the slot's begin
    filled: int  # filters that they have
    tiles: Range  # of channels
    channels: Range


class Work(NamedTuple):
    """What a worker works on at a time."""

    arrays: Arrays
    geometry: Geometry
    sizes: Sizes
    room: Room
    unit: Unit


class Place(NamedTuple):
    """One place p of some patches, and as many vectors of filters as a register tile has."""

    partial: object
    scratch: object
    vectors: tuple[int, ...]
    sums: Series  # by channels of the layer
    delta: Series  # the first square's, by lanes
    patch: Series  # the first channel's of the unit, by patches
    channels: Range
    patches: int  # how many
    together: int  # of which so many have a sum of their own


@shared
def filled_filters(filters, vectors):
    """Return how many filters the sums have: whole register tiles."""
    tile = len(vectors) * LANES
    return (filters + tile - 1) // tile * tile


@shared
def slot_size(inputs, filled, patch):
    """Return how many numbers the sums of a slot are."""
    return places_of(patch) * inputs * filled


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
    places = places_of(sizes.patch)
    size = places * (patch + delta) + max(midway_size(sizes.patch), transposed_size(sizes.side))
    at = worker * size
    return Room(Series(at, patch), Series(at + places * patch, delta), at + places * (patch + delta), size)


@kernel
def clear_sums(partial, unit, inputs, fresh, patch):
    """Write zeros to the unit's sums if they are fresh."""
    for p in range(fresh * places_of(patch)):  # after a branch LLVM would compile all that follows twice
        sums, channels = unit.sums + p * inputs * unit.filled, unit.channels
        for at in range(sums + channels.begin * unit.filled, sums + channels.end * unit.filled, LANES):
            store(partial, at, constant(partial, 0))


@outer_kernel
def transform_stretch(work, patches):
    """Write Bt d B and A delta At of some patches."""
    arrays, geometry, sizes, room, unit = work
    scratch = arrays.scratch
    transform_patches(arrays.image, geometry, patches, unit.channels, scratch, room.patches, room.midway, sizes)
    for n in range(patches.begin, patches.end):
        patch = patch_of(n, geometry.patches, sizes.side)
        target = Series(room.deltas.at + (n - patches.begin) * unit.filled * LANES, room.deltas.step)
        transform_transposed_squares(arrays.delta, geometry, patch, scratch, target, unit.filled, room.midway, sizes)


@kernel
def multiply_by_lanes(place, c, channels):
    """Add the products of patches, lane by lane: vectors of 16 filters times numbers of a tile of channels.

    Some patches together have a sum of their own, and so have those of a stretch: that rounds less than one long sum.
    """
    scratch, step = place.scratch, place.sums.step
    at = place.sums.at + c * step
    d, x = place.delta.at, place.patch.at + (c - place.channels.begin) * LANES
    total = tile_zero(place.partial, place.vectors, channels)
    for first in range(0, place.patches, place.together):
        tile = tile_zero(place.partial, place.vectors, channels)
        for _ in range(first, min(first + place.together, place.patches)):
            for lane in range(LANES):
                tile = accumulate(tile, scratch, d + lane * place.delta.step, LANES, scratch, x + lane, LANES)
            d += LANES * place.delta.step
            x += place.patch.step
        total = total + tile
    tile_store(
        place.partial, at, LANES, step, tile_load(place.partial, at, LANES, step, place.vectors, channels) + total
    )


@outer_kernel
def add_stretch(work, patches):
    """Add the products of some patches to the unit's sums, place by place."""
    arrays, geometry, sizes, room, unit = work
    filled, channels, vectors = unit.filled, unit.channels, sizes.vectors
    for p in range(places_of(sizes.patch)):
        patch = Series(room.patches.at + p * room.patches.step, (channels.end - channels.begin) * LANES)
        for v in range(0, filled, len(vectors) * LANES):
            sums = Series(unit.sums + p * geometry.channels.inputs * filled + v, filled)
            delta, count = Series(room.deltas.at + p * room.deltas.step + v, filled), patches.end - patches.begin
            together = count if len(sizes.patch) == 6 else 1
            place = Place(arrays.partial, arrays.scratch, vectors, sums, delta, patch, channels, count, together)
            some_tiles(
                multiply_by_lanes, place, unit.tiles.begin, unit.tiles.end, geometry.tiles, sizes.tall, sizes.short
            )  # fmt: skip


@outer_kernel
def add_share(worker, batch, arrays, plain, form):
    """Add the products of a worker's share of the units, a stretch of patches at a time."""
    geometry, (bundles, slots), sizes = geometry_of(plain[:5]), plain[5], Sizes(*form)
    channels, patches, tiles, tall, short = geometry.channels, geometry.patches, geometry.tiles, sizes.tall, sizes.short
    room, (blocks, fresh, workers) = weights_room(worker, geometry, bundles, sizes), batch
    filled = filled_filters(channels.outputs, sizes.vectors)
    begin, end = share(worker, workers, bundles * slots)
    for number in range(begin, end):
        slot, bundle = number % slots, number // slots
        cut0, cut1 = share(bundle, bundles, tiles.tall + tiles.short)
        own = Range(first_of_tile(cut0, tiles, tall, short), first_of_tile(cut1, tiles, tall, short))
        unit = Unit(slot * slot_size(channels.inputs, filled, sizes.patch), filled, Range(cut0, cut1), own)
        clear_sums(arrays.partial, unit, channels.inputs, fresh, sizes.patch)
        work = Work(arrays, geometry, sizes, room, unit)
        n, last = share(slot, slots, blocks * patches.rows * patches.columns)
        for first in range(n, last, patches.stretch):
            stretch = Range(first, min(first + patches.stretch, last))
            transform_stretch(work, stretch)
            add_stretch(work, stretch)


@parallel_kernel
def weights_by_patches(image, delta, partial, scratch, blocks, fresh, workers, geometry, sizes):
    """Add to partial[slot, p, channel, filter] the products of each place, summed over a slot's patches and lanes.

    Parameters
    ----------
    image, delta : 1-D array, float32 or float64
    partial : 1-D array
        A `slot_size` per slot.
    scratch : 1-D array
        A `weights_room` per worker.
    blocks : int
    fresh : bool
        The sums begin with zero; else with what partial holds.
    workers : int
        Any number gives the same bits.
    geometry, sizes : tuple
        Geometry, of the forward pass with at least 16 filters, and with tiles of channels; behind its fields, (bundles,
        slots). Then Sizes. All that they contain comes as plain tuples.
    """
    rows, columns, channels, patches, tiles, division = geometry  # apart: tuples in tuples do not enter a parallel loop
    patch, side, vectors, tall, short = sizes
    for index in prange(workers):
        arrays = Arrays(memory(image), memory(delta), memory(partial), memory(scratch))
        plain, form = (rows, columns, channels, patches, tiles, division), (patch, side, vectors, tall, short)
        add_share(np.intp(index), (blocks, fresh, workers), arrays, plain, form)
