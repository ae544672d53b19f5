"""PReLU: a learned slope for negative inputs (He et al. 2015, "Delving deep into rectifiers", section 2.1).

    y = z where z > 0, slope[c] * z elsewhere;   dL/dz = g or slope[c] * g;   dL/dslope[c] = sum of g z where z <= 0

The slope may become negative, so the sign of y says nothing: backward reads z. Layout, pieces and slots as in
`kernels.batch_norm`; `geometry`: see `Sheet`.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.batch_norm import Sheet, piece_at, pieces_of
from cnntrain.kernels.compiler.jit import parallel_kernel
from cnntrain.kernels.lanes import constant, load, select, splat, store
from cnntrain.kernels.slots import slot_at
from cnntrain.kernels.work import share
from cnntrain.shape import LANES


@parallel_kernel
def prelu(z, y, slope, blocks, geometry):
    """y = z where z > 0, slope * z elsewhere; one slope per channel."""
    sheet = Sheet(*geometry)
    for index in prange(pieces_of(sheet, blocks)):
        _, begin, end = piece_at(sheet, np.intp(index))
        for pixel in range(begin, end, sheet.channels * LANES):
            for c in range(sheet.channels):
                v = load(z, pixel + c * LANES)
                store(y, pixel + c * LANES, select(v <= constant(z, 0), v * splat(slope[c]), v))


@parallel_kernel
def prelu_backward(grad_output, z, grad_input, slope, partial, blocks, geometry):
    """Write dL/dz, and add up partial (slot, channel, lane) of dL/dslope."""
    sheet = Sheet(*geometry)
    for index in prange(sheet.slots):
        slot = np.intp(index)
        sums = slot_at(slot, sheet.channels)
        for at in range(sums, slot_at(slot + 1, sheet.channels), LANES):
            store(partial, at, constant(z, 0))
        first, last = share(slot, sheet.slots, pieces_of(sheet, blocks))
        for piece in range(first, last):
            _, begin, end = piece_at(sheet, piece)
            for pixel in range(begin, end, sheet.channels * LANES):
                for c in range(sheet.channels):
                    v, g = load(z, pixel + c * LANES), load(grad_output, pixel + c * LANES)
                    negative = v <= constant(z, 0)
                    store(grad_input, pixel + c * LANES, select(negative, g * splat(slope[c]), g))
                    at = sums + c * LANES
                    store(partial, at, load(partial, at) + select(negative, g * v, constant(z, 0)))
