"""Convolutions and dense layers of few images: lanes hold filters, not images.

Letters
    n position: a window of an image; those of all images one after the other    k vector of filters    i within a run

An image is (row, column, channel). A window is rows x runs x run numbers of it: with channels side by side and no
dilation, a row of a window is one run. The padding is part of the image here (`few_channels.bordered`), so that every
window has all its taps. Each output is z = bias, then z = fma(w, x, z) for (r, s, c) in their order, whatever the tile:
the order of `kernels.convolution`, and the same bits.

Weights are packed as (group, k, r, s, c, filter in vector). `places` holds where the window of each position begins,
relative to the source: for as many images as are computed at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cnntrain.kernels.compiler.jit import inlined_kernel, outer_kernel
from cnntrain.kernels.lanes import narrow_tile_load, take, tile_store
from cnntrain.kernels.lanes.places import accumulate_at, places_at, tile_store_first


class Windows(NamedTuple):
    """An instruction: where things are, and how far apart."""

    source: int  # the first window of a group, in the arena
    target: int
    places: int  # of the first position
    weights: int
    bias: int
    count: int  # type: ignore[assignment]  # positions of an image
    starts: int  # of the runs of a window, among the places
    runs: int
    run: int  # numbers
    outputs: int  # filters of a group
    groups: int
    inputs: int  # numbers from a group to the next


@inlined_kernel
def windows_at(table, at):
    """Read an instruction."""
    return Windows(
        take(table, at), take(table, at + 1), take(table, at + 2), take(table, at + 3), take(table, at + 4),
        take(table, at + 5), take(table, at + 6), take(table, at + 7), take(table, at + 8), take(table, at + 9),
        take(table, at + 10), take(table, at + 11),
    )  # fmt: skip


@outer_kernel
def window_tile(state, w, k, n, wide, many):
    """Compute `len(wide)` vectors of filters from k on, at `len(many)` positions from n on."""
    values, lanes = state
    taps = w.runs * w.run * len(lanes)
    places = places_at(values.places, w.places + n, w.source, many)
    tile = narrow_tile_load(values.weights, w.bias + k * len(lanes), len(lanes), 0, wide, many, lanes)
    at = w.weights + k * taps
    for r in range(w.runs):
        begin = np.intp(take(values.places, w.starts + r))
        for x in range(begin, begin + w.run):
            tile = accumulate_at(tile, values.weights, at, taps, values.arena, places, x)
            at += len(lanes)
    step = w.groups * w.outputs
    target, number = w.target + n * step + k * len(lanes), w.outputs - (k + len(wide) - 1) * len(lanes)
    if number >= len(lanes):
        tile_store(values.arena, target, len(lanes), step, tile)
    else:
        tile_store_first(values.arena, target, len(lanes), step, tile, number)


@outer_kernel
def each_position(state, w, k, positions, wide, many):
    """Compute all positions, of which there are `len(many)` or more: the last tile may overlap the one before."""
    for n in range(0, positions - len(many), len(many)):
        window_tile(state, w, k, n, wide, many)
    window_tile(state, w, k, positions - len(many), wide, many)


@outer_kernel
def two_vectors(state, w, k, positions, sizes):
    """Compute two vectors of filters at all positions, in the largest tiles that fit."""
    most, four, two, one = sizes
    if positions >= len(most):
        each_position(state, w, k, positions, two, most)
    elif positions >= len(four):
        each_position(state, w, k, positions, two, four)
    elif positions >= len(two):
        each_position(state, w, k, positions, two, two)
    else:
        each_position(state, w, k, positions, two, one)


@outer_kernel
def lone_vector(state, w, k, positions, sizes):
    """Compute a last vector of filters at all positions; of few positions one by one, to compile fewer tiles."""
    most, _, _, one = sizes
    if positions >= len(most):
        each_position(state, w, k, positions, one, most)
    else:
        each_position(state, w, k, positions, one, one)


@outer_kernel
def group_of_windows(state, w, positions, sizes):
    """Compute all filters of a group."""
    _, lanes = state
    _, four, two, one = sizes
    vectors = (w.outputs + len(lanes) - 1) // len(lanes)
    k = 0
    if positions < len(two):  # a lone image's dense layer: what counts is how fast the weights come
        while k + len(four) <= vectors:
            each_position(state, w, k, positions, four, one)
            k += len(four)
    while k + len(two) <= vectors:
        two_vectors(state, w, k, positions, sizes)
        k += len(two)
    if k < vectors:
        lone_vector(state, w, k, positions, sizes)


@outer_kernel
def windows(state, table, at, images, sizes):
    """Compute a convolution or a dense layer of `images` images."""
    _, lanes = state
    w = windows_at(table, at)
    weights = (w.outputs + len(lanes) - 1) // len(lanes) * len(lanes)
    taps = w.runs * w.run
    for g in range(w.groups):
        group = Windows(
            w.source + g * w.inputs, w.target + g * w.outputs, w.places, w.weights + g * weights * taps,
            w.bias + g * weights, w.count, w.starts, w.runs, w.run, w.outputs, w.groups, w.inputs,
        )  # fmt: skip
        group_of_windows(state, group, images * w.count, sizes)
