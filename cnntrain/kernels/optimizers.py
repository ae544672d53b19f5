"""Updates of the parameters, element by element, on flat arrays: what all optimisers share, and gradient descent.

Letters: w value, g gradient after clipping and with the pull of the decays, v velocity. `work` holds what every
optimiser's kernel takes after its arrays, as plain tuples: the fields of `Chunks`, then those of `Clipping`.

Elements are counted by unsigned numbers: of a signed index Numba asks whether it counts from the end, and LLVM makes no
vectors of a loop that asks. That would take nine times as long.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, parallel_kernel


class Chunks(NamedTuple):
    """Stretches of parameters, each of which owns what it writes: elements begin[i] to before end[i].

    At i are also the learning rate and the two decays of the stretch's parameter.
    """

    begin: Any
    end: Any
    rates: Any
    decays: Any  # L2
    l1_decays: Any


class Clipping(NamedTuple):
    """Gradients are multiplied with `scale` (clipping by norm), then held within -limit ... limit (by value)."""

    scale: Any
    limit: Any


class Chunk(NamedTuple):
    """One of `Chunks`, and how its gradients are clipped; zero in the type of the values."""

    begin: Any
    end: Any
    rate: Any
    decay: Any
    l1_decay: Any
    scale: Any
    limit: Any
    zero: Any


@inlined_kernel
def chunk_at(chunks, clipping, i):
    """Return chunk number i."""
    return Chunk(
        np.uintp(chunks.begin[i]), np.uintp(chunks.end[i]), chunks.rates[i], chunks.decays[i], chunks.l1_decays[i],
        clipping.scale, clipping.limit, chunks.rates.dtype.type(0),
    )  # fmt: skip


@inlined_kernel
def clipped(gradient, chunk):
    """Return the gradient after clipping; NaN stays NaN."""
    gradient = gradient * chunk.scale
    gradient = chunk.limit if gradient > chunk.limit else gradient
    return -chunk.limit if gradient < -chunk.limit else gradient


@inlined_kernel
def pull(value, chunk):
    """Return the gradient of decay/2 w**2 + l1_decay |w|; the latter's is 0 at w = 0."""
    up = chunk.l1_decay if value > chunk.zero else chunk.zero  # side by side: nested choices would not become vectors
    down = chunk.l1_decay if value < chunk.zero else chunk.zero
    return chunk.decay * value + (up - down)


@parallel_kernel
def sums_of_squares(gradients, begin, end, sums):
    """Write the sum of squares of each chunk's gradients, in float64: the caller adds them in the chunks' order."""
    for index in prange(begin.size):
        chunk = np.intp(index)
        first, last = begin[chunk], end[chunk]
        a, b, c, d = 0.0, 0.0, 0.0, 0.0  # four sums: one alone would wait for each addition to finish
        whole = first + (last - first) // 4 * 4
        for i in range(first, whole, 4):
            a += np.float64(gradients[i]) * np.float64(gradients[i])
            b += np.float64(gradients[i + 1]) * np.float64(gradients[i + 1])
            c += np.float64(gradients[i + 2]) * np.float64(gradients[i + 2])
            d += np.float64(gradients[i + 3]) * np.float64(gradients[i + 3])
        for i in range(whole, last):
            a += np.float64(gradients[i]) * np.float64(gradients[i])
        sums[chunk] = (a + b) + (c + d)


@parallel_kernel
def move_averages(values, averages, begin, end, share):
    """averages += share (values - averages): the exponential moving average of the weights."""
    for index in prange(begin.size):
        chunk = np.intp(index)
        for i in range(np.uintp(begin[chunk]), np.uintp(end[chunk])):
            averages[i] += share * (values[i] - averages[i])


@parallel_kernel
def sgd(values, gradients, velocities, work, momentum, nesterov):
    """v = momentum v + g;  w -= rate (g + momentum v) with Nesterov's form, else w -= rate v.

    Sutskever et al. 2013, in the form that PyTorch uses: the learning rate outside the velocity.
    """
    chunks, clipping = Chunks(*work[0]), Clipping(*work[1])
    for index in prange(chunks.begin.size):
        chunk = chunk_at(chunks, clipping, np.intp(index))
        for i in range(chunk.begin, chunk.end):
            gradient = clipped(gradients[i], chunk) + pull(values[i], chunk)
            velocity = momentum * velocities[i] + gradient
            velocities[i] = velocity
            values[i] -= chunk.rate * (gradient + momentum * velocity if nesterov else velocity)


@parallel_kernel
def sgd_caffe(values, gradients, velocities, work, momentum, nesterov):
    """v' = momentum v + rate g;  w -= (1 + momentum) v' - momentum v with Nesterov's form, else w -= v'.

    The learning rate is inside the velocity, as in Caffe (sgd_solver.cpp, nesterov_solver.cpp).
    """
    chunks, clipping = Chunks(*work[0]), Clipping(*work[1])
    for index in prange(chunks.begin.size):
        chunk = chunk_at(chunks, clipping, np.intp(index))
        for i in range(chunk.begin, chunk.end):
            before = velocities[i]
            gradient = clipped(gradients[i], chunk) + pull(values[i], chunk)
            velocity = momentum * before + chunk.rate * gradient
            velocities[i] = velocity
            values[i] -= velocity + momentum * (velocity - before) if nesterov else velocity
