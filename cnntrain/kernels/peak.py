"""The most that a processor can do: fused multiply-adds on lane vectors that never leave the registers.

    acc_i <- acc_i * 1/2 + 1        for i = 1 ... chains

A chain waits for its own last result only, so there must be more chains than multiply-adds under way at once (latency
times throughput: 8 registers on most processors), but no more than fit into the registers.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import parallel_kernel
from cnntrain.kernels.lanes import constant, fma, store
from cnntrain.shape import LANES


@parallel_kernel
def three_chains(out, rounds, threads):
    """Three chains per thread, where a lane vector takes four registers; out has a lane vector per thread."""
    for index in prange(threads):
        t = np.intp(index)
        half, one = constant(out, 0.5), constant(out, 1.0)
        a, b, c = one, half, one
        for _ in range(rounds):
            a, b, c = fma(a, half, one), fma(b, half, one), fma(c, half, one)
        store(out, t * LANES, a + b + c)


@parallel_kernel
def six_chains(out, rounds, threads):
    """Six chains per thread, where a lane vector takes two registers (float32 with AVX2)."""
    for index in prange(threads):
        t = np.intp(index)
        half, one = constant(out, 0.5), constant(out, 1.0)
        a, b, c, d, e, f = one, half, one, half, one, half
        for _ in range(rounds):
            a, b, c = fma(a, half, one), fma(b, half, one), fma(c, half, one)
            d, e, f = fma(d, half, one), fma(e, half, one), fma(f, half, one)
        store(out, t * LANES, a + b + c + d + e + f)


@parallel_kernel
def twelve_chains(out, rounds, threads):
    """Twelve chains per thread, where a lane vector is one register (float32 with AVX-512)."""
    for index in prange(threads):
        t = np.intp(index)
        half, one = constant(out, 0.5), constant(out, 1.0)
        a, b, c, d, e, f = one, half, one, half, one, half
        g, h, i, j, k, m = half, one, half, one, half, one
        for _ in range(rounds):
            a, b, c, d = fma(a, half, one), fma(b, half, one), fma(c, half, one), fma(d, half, one)
            e, f, g, h = fma(e, half, one), fma(f, half, one), fma(g, half, one), fma(h, half, one)
            i, j, k, m = fma(i, half, one), fma(j, half, one), fma(k, half, one), fma(m, half, one)
        store(out, t * LANES, a + b + c + d + e + f + g + h + i + j + k + m)
