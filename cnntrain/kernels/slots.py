"""Adding up what slots hold; see `kernels.weight_gradient` for what slots are good for."""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import parallel_kernel
from cnntrain.kernels.lanes import load, sum_lanes
from cnntrain.shape import LANES


@parallel_kernel
def sum_slots(partial, slots, sums):
    """sums[i] = sum over slots, in their order, and then over lanes, of partial (slot, i, lane)."""
    for index in prange(sums.size):
        i = np.intp(index)
        total = load(partial, i * LANES)
        for slot in range(1, slots):
            total = total + load(partial, (slot * sums.size + i) * LANES)
        sums[i] = sum_lanes(total)
