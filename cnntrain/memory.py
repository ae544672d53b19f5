"""Arrays that begin at a cache line."""

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
    memory = np.zeros(size * dtype.itemsize + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    # by way of a memoryview, which is no array: else `memory` would be the base of all slices
    return np.frombuffer(memory.data, dtype, size, start)
