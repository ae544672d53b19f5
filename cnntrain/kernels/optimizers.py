"""Updates of the parameters, element by element, on flat arrays: what all optimisers share, and gradient descent.

A *chunk* is a stretch of one parameter: elements begin[i] to end[i], with that parameter's learning rate rates[i], L2
decay decays[i] and L1 decay l1_decays[i]. Chunks own what they write. Every kernel takes the raw gradients and sees
them clipped: multiplied with `scale` (clipping by norm), then held within -limit ... limit (clipping by value).

Elements are counted by unsigned numbers: of a signed index Numba asks whether it counts from the end, and LLVM makes no
vectors of a loop that asks. That would take nine times as long.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel


@kernel
def clipped(gradient, scale, limit):
    """Return the gradient after clipping; NaN stays NaN."""
    gradient = gradient * scale
    gradient = limit if gradient > limit else gradient
    return -limit if gradient < -limit else gradient


@kernel
def pull(value, decay, l1_decay, zero):
    """Return the gradient of decay/2 w**2 + l1_decay |w|; the latter's is 0 at w = 0."""
    up = l1_decay if value > zero else zero  # two choices side by side: nested ones would not become vectors
    down = l1_decay if value < zero else zero
    return decay * value + (up - down)


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
    """Averages += share (values - averages): the exponential moving average of the weights."""
    for index in prange(begin.size):
        chunk = np.intp(index)
        for i in range(np.uintp(begin[chunk]), np.uintp(end[chunk])):
            averages[i] += share * (values[i] - averages[i])


@parallel_kernel
def sgd(values, gradients, velocities, begin, end, rates, decays, l1_decays, scale, limit, momentum, nesterov):
    """V = momentum v + g + decay w;  w -= rate (g + momentum v) with Nesterov's form, else w -= rate v.

    Sutskever et al. 2013, in the form that PyTorch uses: the learning rate outside the velocity.
    """
    for index in prange(begin.size):
        chunk = np.intp(index)
        rate, decay, l1_decay, zero = rates[chunk], decays[chunk], l1_decays[chunk], values.dtype.type(0)
        for i in range(np.uintp(begin[chunk]), np.uintp(end[chunk])):
            gradient = clipped(gradients[i], scale, limit) + pull(values[i], decay, l1_decay, zero)
            velocity = momentum * velocities[i] + gradient
            velocities[i] = velocity
            values[i] -= rate * (gradient + momentum * velocity if nesterov else velocity)


@parallel_kernel
def sgd_caffe(values, gradients, velocities, begin, end, rates, decays, l1_decays, scale, limit, momentum, nesterov):
    """V' = momentum v + rate (g + decay w);  w -= (1 + momentum) v' - momentum v with Nesterov's form, else w -= v'.

    The learning rate is inside the velocity, as in Caffe (sgd_solver.cpp, nesterov_solver.cpp).
    """
    for index in prange(begin.size):
        chunk = np.intp(index)
        rate, decay, l1_decay, zero = rates[chunk], decays[chunk], l1_decays[chunk], values.dtype.type(0)
        for i in range(np.uintp(begin[chunk]), np.uintp(end[chunk])):
            before = velocities[i]
            gradient = clipped(gradients[i], scale, limit) + pull(values[i], decay, l1_decay, zero)
            velocity = momentum * before + rate * gradient
            velocities[i] = velocity
            values[i] -= velocity + momentum * (velocity - before) if nesterov else velocity
