"""How the work of a kernel is cut: *units*, each of which owns what it writes, and the *tiles* of a unit's filters.

Threads take units as they like; nothing that a unit computes depends on who computes it, or on how many there are.
"""

from __future__ import annotations

from cnntrain.kernels.compiler.jit import outer_kernel, shared
from cnntrain.shape import LANES

UNITS = 64  # of element-wise work; any number gives the same bits


@shared
def blocks_of(images):
    """Return how many blocks of 16 hold so many images."""
    return (images + LANES - 1) // LANES


@shared
def used_lanes(block, images):
    """Return how many lanes of a block hold an image; they are its first."""
    return min(images - block * LANES, LANES)


@shared
def share(unit, units, size):
    """Return where share number `unit` of `units` of `size` things begins and ends: sizes differ by one at most."""
    return unit * size // units, (unit + 1) * size // units


@shared
def span(unit, size):
    """Return where unit number `unit` of `size` elements begins and ends, in whole lane vectors."""
    vectors = size // LANES
    return unit * vectors // UNITS * LANES, (unit + 1) * vectors // UNITS * LANES


@shared
def first_of_tile(tile, tiles, tall, short):
    """Return the first filter of a tile; tile number tiles.tall + tiles.short begins behind the last filter."""
    return min(tile, tiles.tall) * len(tall) + max(tile - tiles.tall, 0) * len(short)


@outer_kernel
def each_tile(do, state, tiles, tall, short):
    """Call do(state, k, height) for every tile: its first filter k, and its height as a dummy tuple."""
    for tile in range(tiles.tall):
        do(state, tile * len(tall), tall)
    for tile in range(tiles.short):
        do(state, tiles.tall * len(tall) + tile * len(short), short)


@outer_kernel
def some_tiles(do, state, begin, end, tiles, tall, short):
    """Call do(state, k, height) for the tiles `begin` to before `end`.

    Parameters
    ----------
    do : kernel
        Compiled for both heights.
    state : tuple
        What it needs besides.
    begin, end : int
    tiles : Tiles
    tall, short : tuple of int
        Only their lengths count: the two heights.
    """
    for tile in range(begin, min(end, tiles.tall)):
        do(state, tile * len(tall), tall)
    for tile in range(max(begin, tiles.tall), end):
        do(state, tiles.tall * len(tall) + (tile - tiles.tall) * len(short), short)
