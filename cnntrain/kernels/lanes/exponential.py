"""exp, expm1, tanh and the sigmoid of a lane vector, from additions and multiplications alone.

exp(x) = 2**n * exp(r) with n = round(x / ln 2) and r = x - n ln 2 in [-ln 2 / 2, ln 2 / 2]; ln 2 is subtracted in two
parts so that r is exact (Cody and Waite, Software Manual for the Elementary Functions, 1980, ch. 6). exp(r) - 1 is its
Taylor series: 8 terms leave less than 1e-9 of r in float32, 14 terms less than 1e-17 in float64.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from cnntrain.kernels.compiler.jit import kernel
from cnntrain.kernels.lanes import Lanes, absolute, constant, fma, is_nan, power_of_two, round_even, select

# 1/n! for n = 8 ... 2 and 14 ... 2, highest first, for Horner's scheme
FACTORIALS32 = tuple(1.0 / float(np.prod(np.arange(1.0, n + 1))) for n in range(8, 1, -1))
FACTORIALS64 = tuple(1.0 / float(np.prod(np.arange(1.0, n + 1))) for n in range(14, 1, -1))
# ln 2 in two parts, the first with trailing zero bits, so that n * first is exact; range in which 2**n is normal
REDUCTION32 = (0.693359375, -2.12194440e-4, 87.0, 1.4426950408889634)
REDUCTION64 = (0.6931471803691238, 1.9082149292705877e-10, 708.0, 1.4426950408889634)


def _coefficients(x):
    """Return (ln 2 high, ln 2 low, largest |x|, 1 / ln 2), series for the element type of x."""
    raise AssertionError("only called in compiled code")


@overload(_coefficients, inline="always")
def _coefficients_for(x):
    if isinstance(x, Lanes) and x.element == types.float32:
        return lambda x: (REDUCTION32, FACTORIALS32)
    return lambda x: (REDUCTION64, FACTORIALS64)


@kernel
def expm1_parts(x):
    """Return (2**n, exp(r) - 1) of the reduced argument; exp(x) = 2**n * (1 + second)."""
    reduction, factorials = _coefficients(x)
    limit = constant(x, reduction[2])
    x = select(x > limit, limit, x)
    x = select(x < constant(x, -reduction[2]), constant(x, -reduction[2]), x)
    n = round_even(x * constant(x, reduction[3]))
    r = fma(n, constant(x, -reduction[0]), x)
    r = fma(n, constant(x, -reduction[1]), r)
    series = constant(x, factorials[0])
    for factorial in factorials[1:]:
        series = fma(series, r, constant(x, factorial))
    zero = constant(x, 0.0)
    scale = power_of_two(select(is_nan(n), zero, n))
    return scale, fma(series * r, r, r)


@kernel
def exponential(x):
    """Return exp(x): 0 below -87 (float32) or -708 (float64), no more than exp(87) or exp(708); NaN stays NaN."""
    scale, rest = expm1_parts(x)
    reduction, _ = _coefficients(x)
    return select(x < constant(x, -reduction[2]), constant(x, 0.0), fma(scale, rest, scale))


@kernel
def exponential_minus_one(x):
    """Return exp(x) - 1, which loses nothing near zero."""
    scale, rest = expm1_parts(x)
    return fma(scale, rest, scale - constant(x, 1.0))


@kernel
def hyperbolic_tangent(x):
    """Return tanh(x) = m / (m + 2) with m = exp(2|x|) - 1, which loses nothing near zero."""
    size = absolute(x)
    scale, rest = expm1_parts(size + size)
    m = fma(scale, rest, scale - constant(x, 1.0))
    positive = m / (m + constant(x, 2.0))
    return select(x < constant(x, 0.0), constant(x, 0.0) - positive, positive)


@kernel
def logistic(x):
    """Return 1 / (1 + exp(-x)), from the side on which exp does not overflow."""
    one = constant(x, 1.0)
    small = exponential(constant(x, 0.0) - absolute(x))
    return select(x < constant(x, 0.0), small, one) / (one + small)
