"""Updates of the parameters, element by element, on flat arrays.

A *chunk* is a stretch of one parameter: elements begin[i] to end[i], with the factors of that parameter on the learning
rate and on the weight decay. Chunks own what they write.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.jit import parallel_kernel


@parallel_kernel
def sgd(values, gradients, velocities, begin, end, rates, decays, momentum, nesterov):
    """V = momentum v + g + decay w;  w -= rate (g + momentum v) with Nesterov's form, else w -= rate v.

    Sutskever et al. 2013, in the form that PyTorch uses: the learning rate outside the velocity.
    """
    for index in prange(begin.size):
        chunk = np.intp(index)
        rate, decay = rates[chunk], decays[chunk]
        for i in range(begin[chunk], end[chunk]):
            gradient = gradients[i] + decay * values[i]
            velocity = momentum * velocities[i] + gradient
            velocities[i] = velocity
            values[i] -= rate * (gradient + momentum * velocity if nesterov else velocity)


@parallel_kernel
def sgd_caffe(values, gradients, velocities, begin, end, rates, decays, momentum, nesterov):
    """V' = momentum v + rate (g + decay w);  w -= (1 + momentum) v' - momentum v with Nesterov's form, else w -= v'.

    The learning rate is inside the velocity, as in Caffe (sgd_solver.cpp, nesterov_solver.cpp).
    """
    for index in prange(begin.size):
        chunk = np.intp(index)
        rate, decay = rates[chunk], decays[chunk]
        for i in range(begin[chunk], end[chunk]):
            before = velocities[i]
            velocity = momentum * before + rate * (gradients[i] + decay * values[i])
            velocities[i] = velocity
            values[i] -= velocity + momentum * (velocity - before) if nesterov else velocity
