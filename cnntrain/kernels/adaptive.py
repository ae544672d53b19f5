"""Optimisers that scale each element's step by the history of its own gradients.

Letters and `work` as in `kernels.optimizers`; m mean of g, s mean of g**2. Each kernel takes the numbers of its rule as
a plain tuple, in the order in which its first line names them. 1 - beta and the like come from outside, computed in
float64: 1 - float32(0.999) is off by 1e-5 of its value.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import parallel_kernel
from cnntrain.kernels.optimizers import Chunks, Clipping, chunk_at, clipped, pull


@parallel_kernel
def adam(values, gradients, means, squares, work, rule, decoupled):
    """m += (1 - beta1) (g - m);  s = beta2 s + (1 - beta2) g**2;  w -= rate m' / (sqrt(s') + eps).

    m' = m mean_correction, mean_correction = 1 / (1 - beta1**t); sqrt(s') = sqrt(s) root_correction, root_correction =
    1 / sqrt(1 - beta2**t). Kingma and Ba 2015, algorithm 1. decoupled: the decays shrink the weights by themselves,
    w -= rate (decay w + ...), and do not enter g (Loshchilov and Hutter 2019, algorithm 2: AdamW).
    """
    mean_share, square_keep, square_share, mean_correction, root_correction, eps = rule
    chunks, clipping = Chunks(*work[0]), Clipping(*work[1])
    for index in prange(chunks.begin.size):
        chunk = chunk_at(chunks, clipping, np.intp(index))
        for i in range(chunk.begin, chunk.end):
            value = values[i]
            gradient = clipped(gradients[i], chunk)
            pulled = pull(value, chunk)
            if decoupled:
                value -= chunk.rate * pulled
            else:
                gradient += pulled
            mean = means[i] + mean_share * (gradient - means[i])
            square = square_keep * squares[i] + square_share * (gradient * gradient)
            means[i], squares[i] = mean, square
            values[i] = value - chunk.rate * (mean * mean_correction) / (np.sqrt(square) * root_correction + eps)


@parallel_kernel
def rmsprop(values, gradients, squares, means, velocities, work, rule, form):
    """s = rho s + (1 - rho) g**2;  w -= rate g / (sqrt(s) + eps), by way of a velocity if there is a momentum.

    Tieleman and Hinton 2012, lecture 6e. centered: s less the square of the gradients' mean (Graves 2013, section 2.3).
    keras: eps inside the root and the learning rate inside the velocity. Arrays that are not wanted are not touched.
    """
    keep, share, eps, momentum = rule
    centered, with_velocity, keras = form
    chunks, clipping = Chunks(*work[0]), Clipping(*work[1])
    for index in prange(chunks.begin.size):
        chunk = chunk_at(chunks, clipping, np.intp(index))
        for i in range(chunk.begin, chunk.end):
            gradient = clipped(gradients[i], chunk) + pull(values[i], chunk)
            square = keep * squares[i] + share * (gradient * gradient)
            squares[i] = square
            if centered:
                mean = means[i] + share * (gradient - means[i])
                means[i] = mean
                square -= mean * mean
                square = chunk.zero if square < chunk.zero else square  # rounding may go below zero; NaN stays
            direction = gradient / (np.sqrt(square + eps) if keras else np.sqrt(square) + eps)
            if with_velocity:
                velocity = momentum * velocities[i] + (chunk.rate * direction if keras else direction)
                velocities[i] = velocity
                values[i] -= velocity if keras else chunk.rate * velocity
            else:
                values[i] -= chunk.rate * direction


@parallel_kernel
def adagrad(values, gradients, sums, work, rule, keras):
    """s += g**2;  w -= slowdown rate g / (sqrt(s) + eps). Duchi et al. 2011; keras: eps inside the root."""
    slowdown, eps = rule
    chunks, clipping = Chunks(*work[0]), Clipping(*work[1])
    for index in prange(chunks.begin.size):
        chunk = chunk_at(chunks, clipping, np.intp(index))
        for i in range(chunk.begin, chunk.end):
            gradient = clipped(gradients[i], chunk) + pull(values[i], chunk)
            total = sums[i] + gradient * gradient
            sums[i] = total
            values[i] -= chunk.rate * slowdown * gradient / (np.sqrt(total + eps) if keras else np.sqrt(total) + eps)


@parallel_kernel
def adadelta(values, gradients, squares, deltas, work, rule):
    """s = rho s + (1 - rho) g**2;  d = g sqrt(u + eps) / sqrt(s + eps);  u = rho u + (1 - rho) d**2;  w -= rate d.

    Zeiler 2012, algorithm 1, with a learning rate as in PyTorch, Keras and Caffe.
    """
    keep, share, eps = rule
    chunks, clipping = Chunks(*work[0]), Clipping(*work[1])
    for index in prange(chunks.begin.size):
        chunk = chunk_at(chunks, clipping, np.intp(index))
        for i in range(chunk.begin, chunk.end):
            gradient = clipped(gradients[i], chunk) + pull(values[i], chunk)
            square = keep * squares[i] + share * (gradient * gradient)
            delta = np.sqrt(deltas[i] + eps) / np.sqrt(square + eps) * gradient
            squares[i] = square
            deltas[i] = keep * deltas[i] + share * (delta * delta)
            values[i] -= chunk.rate * delta
