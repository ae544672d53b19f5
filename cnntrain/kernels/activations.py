"""Activations, element by element: forward y = f(z), and directly below it backward dL/dz = dL/dy * f'(z).

Every derivative is written in terms of y, so that z need not be kept. Arrays are flat, their lengths multiples of 16.
ReLU keeps NaN: the comparison selects zero only where z <= 0 holds.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.lanes import constant, load, select, store
from cnntrain.kernels.lanes.exponential import hyperbolic_tangent, logistic
from cnntrain.shape import LANES

PARTS = 64  # units of work; any number gives the same bits


@kernel
def span(part, size):
    """Return where part number `part` of `size` elements begins and ends, in whole lane vectors."""
    vectors = size // LANES
    return part * vectors // PARTS * LANES, (part + 1) * vectors // PARTS * LANES


@parallel_kernel
def relu(z, y, size):
    """Compute y = max(z, 0)."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            v = load(z, i)
            store(y, i, select(v <= constant(z, 0), constant(z, 0), v))


@parallel_kernel
def relu_backward(grad_output, y, grad_input, size):
    """dL/dz = dL/dy where y > 0, zero elsewhere."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            store(grad_input, i, select(load(y, i) <= constant(y, 0), constant(y, 0), load(grad_output, i)))


@parallel_kernel
def leaky_relu(z, y, size, slope):
    """Compute y = z where z > 0, slope * z elsewhere; slope > 0."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            v = load(z, i)
            store(y, i, select(v <= constant(z, 0), v * constant(z, slope), v))


@parallel_kernel
def leaky_relu_backward(grad_output, y, grad_input, size, slope):
    """dL/dz = dL/dy where y > 0, slope * dL/dy elsewhere."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            g = load(grad_output, i)
            store(grad_input, i, select(load(y, i) <= constant(y, 0), g * constant(y, slope), g))


@parallel_kernel
def sigmoid(z, y, size):
    """Compute y = 1 / (1 + exp(-z))."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            store(y, i, logistic(load(z, i)))


@parallel_kernel
def sigmoid_backward(grad_output, y, grad_input, size):
    """dL/dz = dL/dy * y (1 - y)."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            v = load(y, i)
            store(grad_input, i, load(grad_output, i) * (v * (constant(y, 1) - v)))


@parallel_kernel
def tanh(z, y, size):
    """Compute y = tanh(z)."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            store(y, i, hyperbolic_tangent(load(z, i)))


@parallel_kernel
def tanh_backward(grad_output, y, grad_input, size):
    """dL/dz = dL/dy * (1 - y**2)."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            v = load(y, i)
            store(grad_input, i, load(grad_output, i) * (constant(y, 1) - v * v))
