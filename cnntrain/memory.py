"""Arrays that begin at a cache line: all that kernels write is made here."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

LINE = 64  # bytes


def line_aligned(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return a flat array of `size` zeros for kernels that read and write lane vectors.

    A lane vector of float32 fills a line. NumPy's large arrays begin 16 bytes behind one, so that each vector would lie
    on two lines and each access be two; a whole training step then takes up to a tenth longer. The array is the
    `base` of its slices.
    """
    dtype = np.dtype(dtype)
    memory, start = reserve(size * dtype.itemsize)
    # by way of a memoryview, which is no array: else `memory` would be the base of all slices
    return np.frombuffer(memory.data, dtype, size, start)


def reserve(size: int) -> tuple[NDArray[np.uint8], int]:
    """Return bytes among which `size` zeros begin at a line, and where; tests lay canaries around them."""
    memory = np.zeros(size + LINE, np.uint8)
    return memory, -memory.ctypes.data % LINE
