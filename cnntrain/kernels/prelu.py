"""PReLU: a learned slope for negative inputs (He et al. 2015, "Delving deep into rectifiers", section 2.1).

    y = z where z > 0, slope[c] * z elsewhere;   dL/dz = g or slope[c] * g;   dL/dslope[c] = sum of g z where z <= 0

The slope may become negative, so the sign of y says nothing: backward reads z. Layout and slots as in
`kernels.batch_norm`.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.batch_norm import piece_of
from cnntrain.kernels.compiler.jit import parallel_kernel
from cnntrain.kernels.lanes import constant, load, select, splat, store
from cnntrain.shape import LANES


@parallel_kernel
def prelu(z, y, slope, blocks, sheet):
    """Compute y = z where z > 0, slope * z elsewhere; one slope per channel."""
    width = sheet.channels * LANES
    for index in prange(blocks * sheet.pieces):
        b, begin, end = piece_of(sheet, np.intp(index))
        for pixel in range((b * sheet.pixels + begin) * width, (b * sheet.pixels + end) * width, width):
            for c in range(sheet.channels):
                v = load(z, pixel + c * LANES)
                store(y, pixel + c * LANES, select(v <= constant(z, 0), v * splat(slope[c]), v))


@parallel_kernel
def prelu_backward(grad_output, z, grad_input, slope, partial, blocks, sheet):
    """Write dL/dz, and add up partial (slot, channel, lane) of dL/dslope."""
    width = sheet.channels * LANES
    lines = blocks * sheet.pieces
    for index in prange(sheet.slots):
        slot = np.intp(index)
        for c in range(slot * width, (slot + 1) * width, LANES):
            store(partial, c, constant(z, 0))
        for line in range(slot * lines // sheet.slots, (slot + 1) * lines // sheet.slots):
            b, begin, end = piece_of(sheet, line)
            for pixel in range((b * sheet.pixels + begin) * width, (b * sheet.pixels + end) * width, width):
                for c in range(sheet.channels):
                    v, g = load(z, pixel + c * LANES), load(grad_output, pixel + c * LANES)
                    negative = v <= constant(z, 0)
                    store(grad_input, pixel + c * LANES, select(negative, g * splat(slope[c]), g))
                    at = slot * width + c * LANES
                    store(partial, at, load(partial, at) + select(negative, g * v, constant(z, 0)))
