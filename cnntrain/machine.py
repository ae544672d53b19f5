"""What a processor's vector registers are like: how work is cut into register tiles follows from it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import DTypeLike

from cnntrain.shape import LANES

FEW = 12  # images: as many or fewer take less time by themselves than as one block of sixteen (docs/performance.md)


@dataclass(frozen=True)
class Machine:
    """A core's vector registers.

    Attributes
    ----------
    registers : int
        How many there are.
    register_bytes : int
        The size of one.
    """

    registers: int
    register_bytes: int

    @property
    def wide(self) -> bool:
        """A lane vector of float32 is one register, rather than two or four."""
        return self.register_bytes == 64

    @property
    def accumulators(self) -> int:
        """Lane vectors of float32 that can be accumulated in registers, leaving room for operands."""
        return 24 if self.wide else 6

    @property
    def tile_height(self) -> int:
        """Filters in the register tile of most passes: enough accumulators to hide the latency of a multiply-add.

        With 512-bit registers 8 would be up to 3 % faster; nearly all numbers of filters can be cut into 6 and 5, so
        that one compiled form of a kernel does for all layers.
        """
        return 6

    @property
    def tall_tile_height(self) -> int:
        """Filters in a register tile where there are many, and loading the other operand costs more."""
        return 8 if self.wide else self.tile_height

    def register_lanes(self, dtype: DTypeLike) -> int:
        """Return how many numbers fit one register."""
        return self.register_bytes // np.dtype(dtype).itemsize

    def side_by_side(self, blocks: int, dtype: DTypeLike) -> int:
        """Return how many blocks share a register tile, in a network whose largest batch has `blocks` blocks.

        With 512-bit registers two blocks share each broadcast weight, if there are two.
        """
        return 2 if self.wide and np.dtype(dtype) == np.float32 and blocks > 1 else 1

    def capacity(self, images: int, dtype: DTypeLike) -> int:
        """Return the blocks that buffers for `images` images must hold.

        Where two blocks share a tile, it is an even number: an odd last block is computed together with an idle one,
        whose results nobody reads.
        """
        blocks = -(-images // LANES)
        together = self.side_by_side(blocks, dtype)
        return -(-blocks // together) * together


AVX2 = Machine(registers=16, register_bytes=32)
AVX512 = Machine(registers=32, register_bytes=64)
NEON = Machine(registers=32, register_bytes=16)


@cache
def this_machine() -> Machine:
    """Return the machine that kernels are compiled for; NUMBA_CPU_FEATURES, if set, says what it has."""
    if platform.machine() in ("aarch64", "arm64"):
        return NEON
    generic = os.environ.get("NUMBA_CPU_NAME", "").lower() == "generic"
    features = os.environ.get("NUMBA_CPU_FEATURES", "" if generic else None)
    if features is not None:
        return AVX512 if "+avx512f" in features else AVX2
    from llvmlite import binding  # late: it takes longer to import than everything else here

    return AVX512 if binding.get_host_cpu_features().get("avx512f") else AVX2
