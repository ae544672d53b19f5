"""How filters, positions and blocks are cut into register tiles on this machine."""

from __future__ import annotations

import platform
from functools import cache

import numpy as np
from llvmlite import binding
from numba.core import config
from numpy.typing import NDArray

from cnntrain.kernels.convolution import Tiles

LANES = 16


@cache
def has_512_bit_vectors() -> bool:
    """Tell whether a lane vector of float32 is one register (AVX-512) rather than two or four."""
    features: str | None = vars(config)["CPU_FEATURES"]  # what NUMBA_CPU_FEATURES says, if anything
    return bool(binding.get_host_cpu_features().get("avx512f")) if features is None else "+avx512f" in features


def tile_height() -> int:
    """Filters in the register tile of most passes: enough accumulators to hide the latency of a multiply-add.

    With 512-bit registers 8 would be up to 3 % faster; nearly all numbers of filters can be cut into 6 and 5, so that
    one compiled form of a kernel does for all layers.
    """
    return 6


def tall_tile_height() -> int:
    """Filters in a register tile where numbers of filters are large, and loading the other operand costs more."""
    return 8 if has_512_bit_vectors() else tile_height()


def registers() -> int:
    """Return how many vector registers a core has."""
    return 32 if has_512_bit_vectors() or platform.machine() in ("aarch64", "arm64") else 16


def register_lanes(dtype: np.dtype) -> int:
    """Return how many numbers fit one vector register."""
    size = 64 if has_512_bit_vectors() else 16 if platform.machine() in ("aarch64", "arm64") else 32
    return size // dtype.itemsize


def accumulators() -> int:
    """Lane vectors of float32 that can be accumulated in registers, leaving room for operands."""
    return 24 if has_512_bit_vectors() else 6


def length(number: int) -> tuple[int, ...]:
    """Return a dummy tuple: kernels read sizes of register tiles from the types of their arguments."""
    return (0,) * number


def plain(*named: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return named tuples as parallel kernels are called with them: `kernels.convolution.Axis` says why."""
    return tuple(map(tuple, named))


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


def side_by_side(blocks: int, dtype: np.dtype) -> int:
    """Return how many blocks share a register tile, in a network whose largest batch has `blocks` blocks.

    With 512-bit registers two blocks share each broadcast weight, if there are two.
    """
    return 2 if has_512_bit_vectors() and dtype == np.float32 and blocks > 1 else 1


def capacity(images: int, dtype: np.dtype) -> int:
    """Return the blocks that buffers for `images` images must hold.

    Where two blocks share a tile, it is an even number: an odd last block is computed together with an idle one, whose
    results nobody reads.
    """
    blocks = -(-images // LANES)
    together = side_by_side(blocks, np.dtype(dtype))
    return -(-blocks // together) * together


def packed_order(indices: NDArray[np.intp], tiles: Tiles, height: int) -> NDArray[np.intp]:
    """Bring (output, input, r, s) into the order (tile, r, s, input, output in tile) and flatten it."""
    parts, start = [], 0
    for count, size in ((tiles.tall, height), (tiles.short, height - 1)):
        part = indices[start : start + count * size].reshape(count, size, *indices.shape[1:])
        parts.append(part.transpose(0, 3, 4, 2, 1).ravel())
        start += count * size
    return np.concatenate(parts)
