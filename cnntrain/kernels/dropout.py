"""Dropout: random numbers that are a function of where they are needed, not of what was drawn before.

Element i of a layer's output in step t takes the i-th number of SplitMix64 (Steele, Lea and Flood 2014), started at a
state that is itself a hash of the layer's key and of t. So the mask needs no memory: backward computes it again. It is
the same for any number of threads, and the same when a training resumes at step t.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, parallel_kernel
from cnntrain.kernels.lanes import constant, lane_numbers, load, select, splat, store
from cnntrain.kernels.work import UNITS, span
from cnntrain.shape import LANES

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@inlined_kernel
def mix(z):
    """Return the hash that SplitMix64 applies to its state, in each lane of 64 bits."""
    z = (z ^ (z >> splat(np.uint64(30)))) * splat(np.uint64(0xBF58476D1CE4E5B9))
    z = (z ^ (z >> splat(np.uint64(27)))) * splat(np.uint64(0x94D049BB133111EB))
    return z ^ (z >> splat(np.uint64(31)))


@inlined_kernel
def stream(key, step):
    """Return the state, in every lane, from which the numbers of one step follow."""
    return mix(splat(key) + splat(GOLDEN) * mix(splat(step + GOLDEN)))


@parallel_kernel
def dropout(x, y, size, key, step, threshold, factor):
    """y = x * factor where the element's 32 random bits are `threshold` or more, x * 0 elsewhere.

    Forward and backward are the same: the layer is linear. A NaN stays NaN even where it is dropped.

    Parameters
    ----------
    x, y : 1-D array, float32 or float64
    size : int
    key, step, threshold : uint64
        `threshold` is the share to drop times 2**32.
    factor : scalar of x's type
    """
    for index in prange(UNITS):
        begin, end = span(np.intp(index), size)
        state = stream(key, step)
        for i in range(begin, end, LANES):
            number = lane_numbers(key) + splat(np.uint64(i + 1))
            bits = mix(state + number * splat(GOLDEN)) >> splat(np.uint64(32))
            kept = bits >= splat(threshold)
            store(y, i, load(x, i) * select(kept, splat(factor), constant(x, 0)))
