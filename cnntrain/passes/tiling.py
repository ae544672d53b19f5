"""How filters, positions and blocks are cut into register tiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Tiles, length


def cut(total: int, largest: int) -> tuple[Tiles, tuple[int, ...], tuple[int, ...]]:
    """Cut `total` into tiles of two heights: at most `largest`, and one below. From 4 on the larger one is even.

    Few different heights keep the number of compiled kernels low.

    Returns
    -------
    tiles : Tiles
        How many of each.
    tall, short : tuple
        The two heights, as dummy tuples.
    """
    heights = [height for height in range(largest, 0, -1) if height < 4 or height % 2 == 0]
    for height in heights:
        count = -(-total // height)
        short = count * height - total
        if short <= count:
            return Tiles(count - short, short), length(height), length(height - 1)
    raise ValueError(f"nothing to cut: {total} in tiles of at most {largest}")


def used_heights(tiles: Tiles, tall: tuple[int, ...], short: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the heights of `cut`, in place of one that no tile has the other: what is not used is not compiled."""
    return tall if tiles.tall else short, short if tiles.short else tall


def packed_order(indices: NDArray[np.intp], tiles: Tiles, height: int) -> NDArray[np.intp]:
    """Bring (output, input, r, s) into the order (tile, r, s, input, output in tile) and flatten it."""
    parts, start = [], 0
    for count, size in ((tiles.tall, height), (tiles.short, height - 1)):
        part = indices[start : start + count * size].reshape(count, size, *indices.shape[1:])
        parts.append(part.transpose(0, 3, 4, 2, 1).ravel())
        start += count * size
    return np.concatenate(parts)
