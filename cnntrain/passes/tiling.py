"""How filters, positions and blocks are cut into register tiles on this machine."""

from __future__ import annotations

from functools import cache

import numpy as np
from llvmlite import binding
from numba.core import config

from cnntrain.kernels.convolution import Tiles

LANES = 16


@cache
def has_32_vector_registers() -> bool:
    """Tell whether this machine has 32 vector registers (AVX-512, NEON) rather than 16 (AVX2)."""
    features = config.CPU_FEATURES  # the user's choice (NUMBA_CPU_FEATURES), else the machine's own
    if features is None:
        host = binding.get_host_cpu_features()
        return bool(host.get("avx512f") or host.get("neon"))
    return "+avx512f" in features or "+neon" in features


@cache
def has_512_bit_vectors() -> bool:
    """Tell whether a lane vector of float32 is one register (AVX-512) rather than two or four."""
    features = config.CPU_FEATURES
    return bool(binding.get_host_cpu_features().get("avx512f")) if features is None else "+avx512f" in features


def tile_height() -> int:
    """Filters in the register tile of the forward pass: as many accumulators as the registers hold."""
    return 8 if has_512_bit_vectors() else 6


def accumulators() -> int:
    """Lane vectors of float32 that can be accumulated in registers, leaving room for operands."""
    return 24 if has_512_bit_vectors() else 6


def length(number: int) -> tuple[int, ...]:
    """Return a dummy tuple: kernels read sizes of register tiles from the types of their arguments."""
    return (0,) * number


def cut(total: int, largest: int) -> tuple[Tiles, int]:
    """Cut `total` into tiles of nearly equal height, at most `largest`; return how many are tall, and that height."""
    count = -(-total // largest)
    tall = -(-total // count)
    short = count * tall - total
    return Tiles(count - short, short), tall


def bundles_of_blocks(blocks: int, dtype: np.dtype) -> list[tuple[int, int, int]]:
    """Cut the batch into runs (first block, blocks, blocks side by side in a tile).

    With 512-bit registers two blocks share each broadcast weight; an odd block is left for a run of its own.
    """
    if not has_512_bit_vectors() or dtype == np.float64:
        return [(0, blocks, 1)]
    even = blocks - blocks % 2
    return [run for run in ((0, even, 2), (even, blocks - even, 1)) if run[1]]
