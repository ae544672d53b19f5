"""ELU and SELU, SiLU, GELU, softplus: forward y = f(z), and directly below it backward dL/dz = dL/dy * f'(z).

As in `kernels.activations`, but where f does not rise everywhere its slope cannot be told from y: SiLU and GELU read z.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.activations import PARTS, span
from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.lanes import absolute, constant, fma, load, select, store
from cnntrain.kernels.lanes.exponential import expm1_parts, exponential
from cnntrain.kernels.lanes.logarithm import logarithm_1p
from cnntrain.kernels.lanes.normal import normal_distribution
from cnntrain.shape import LANES

GELU_LINEAR = 0.7978845608028654  # sqrt(2 / pi)
GELU_CUBIC = 0.044715
NORMAL_PEAK = 0.3989422804014327  # 1 / sqrt(2 pi)


@kernel
def exponential_minus_one(x):
    """Return exp(x) - 1, which loses nothing near zero."""
    scale, rest = expm1_parts(x)
    return fma(scale, rest, scale - constant(x, 1.0))


@kernel
def logistic_and_rest(x):
    """Return s = 1 / (1 + exp(-x)) and 1 - s, both to the last digit."""
    small = exponential(constant(x, 0.0) - absolute(x))
    large = constant(x, 1.0) / (constant(x, 1.0) + small)
    small = small * large
    negative = x < constant(x, 0.0)
    return select(negative, small, large), select(negative, large, small)


@parallel_kernel
def elu(z, y, size, positive, negative):
    """Y = positive * z where z > 0, negative * (exp(z) - 1) elsewhere (Clevert et al. 2016; SELU: Klambauer 2017)."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            v = load(z, i)
            curve = exponential_minus_one(v) * constant(z, negative)
            store(y, i, select(v <= constant(z, 0), curve, v * constant(z, positive)))


@parallel_kernel
def elu_backward(grad_output, y, grad_input, size, positive, negative):
    """dL/dz = dL/dy * positive where y > 0, dL/dy * (y + negative) elsewhere."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            v = load(y, i)
            slope = select(v > constant(y, 0), constant(y, positive), v + constant(y, negative))
            store(grad_input, i, load(grad_output, i) * slope)


@parallel_kernel
def silu(z, y, size):
    """Y = z s with s = 1 / (1 + exp(-z)) (Elfwing et al. 2018; also called swish)."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            v = load(z, i)
            s, _ = logistic_and_rest(v)
            store(y, i, v * s)


@parallel_kernel
def silu_backward(grad_output, z, grad_input, size):
    """dL/dz = dL/dy * s (1 + z (1 - s))."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            v = load(z, i)
            s, rest = logistic_and_rest(v)
            store(grad_input, i, load(grad_output, i) * fma(s * rest, v, s))


@parallel_kernel
def gelu(z, y, size):
    """Y = z P(z), P the standard normal distribution function (Hendrycks and Gimpel 2016)."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            v = load(z, i)
            probability, _ = normal_distribution(v)
            store(y, i, v * probability)


@parallel_kernel
def gelu_backward(grad_output, z, grad_input, size):
    """dL/dz = dL/dy * (P(z) + z p(z)), p the density."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            v = load(z, i)
            probability, bell = normal_distribution(v)
            store(grad_input, i, load(grad_output, i) * fma(v * constant(z, NORMAL_PEAK), bell, probability))


@parallel_kernel
def gelu_tanh(z, y, size):
    """Y = z / 2 (1 + tanh(u)) = z / (1 + exp(-2 u)) with u = sqrt(2 / pi) (z + 0.044715 z**3)."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            v = load(z, i)
            cubic = fma(v * v, constant(z, GELU_CUBIC), constant(z, 1.0))
            s, _ = logistic_and_rest(v * constant(z, 2 * GELU_LINEAR) * cubic)
            store(y, i, v * s)


@parallel_kernel
def gelu_tanh_backward(grad_output, z, grad_input, size):
    """dL/dz = dL/dy * s (1 + z (1 - s) d(2 u)/dz) with s = 1 / (1 + exp(-2 u))."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            v = load(z, i)
            square = v * v
            cubic = fma(square, constant(z, GELU_CUBIC), constant(z, 1.0))
            rise = fma(square, constant(z, 3 * GELU_CUBIC), constant(z, 1.0)) * constant(z, 2 * GELU_LINEAR)
            s, rest = logistic_and_rest(v * constant(z, 2 * GELU_LINEAR) * cubic)
            store(grad_input, i, load(grad_output, i) * fma(s * rest, v * rise, s))


@parallel_kernel
def softplus(z, y, size, beta):
    """Y = log(1 + exp(beta z)) / beta = max(z, 0) + log(1 + exp(-beta |z|)) / beta, which cannot overflow."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            v = load(z, i)
            small = exponential(constant(z, 0.0) - absolute(v) * constant(z, beta))
            ramp = select(v <= constant(z, 0.0), constant(z, 0.0), v)
            store(y, i, ramp + logarithm_1p(small) / constant(z, beta))


@parallel_kernel
def softplus_backward(grad_output, y, grad_input, size, beta):
    """dL/dz = dL/dy / (1 + exp(-beta z)) = dL/dy * (1 - exp(-beta y))."""
    for index in prange(PARTS):
        part = np.intp(index)
        begin, end = span(part, size)
        for i in range(begin, end, LANES):
            slope = exponential_minus_one(constant(y, 0.0) - load(y, i) * constant(y, beta))
            store(grad_input, i, (constant(y, 0.0) - slope) * load(grad_output, i))
