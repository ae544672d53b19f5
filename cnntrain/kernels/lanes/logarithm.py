"""The logarithm of a lane vector, from additions, multiplications and one division.

log(m) = 2 artanh(s) with s = (m - 1) / (m + 1), and artanh(s) = s + s**3 / 3 + s**5 / 5 + ... converges fast where s
is small: |s| < 0.172 for m within a factor of sqrt(2) of 1, |s| <= 1/3 for log1p(w) with w in [0, 1].
"""

from __future__ import annotations

from numba import types
from numba.extending import overload

from cnntrain.kernels.compiler.jit import kernel
from cnntrain.kernels.lanes import Lanes, constant, exponent_of, fma, mantissa_of, select
from cnntrain.kernels.lanes.exponential import REDUCTION32, REDUCTION64, exponential

# 1 / (2 n + 1), highest first, for Horner's scheme: what is left out is below 2e-9 (float32) and 2e-17 (float64) of
# the result for |s| <= 1/3
ODD32 = tuple(1.0 / (2 * n + 1) for n in range(8, 0, -1))
ODD64 = tuple(1.0 / (2 * n + 1) for n in range(17, 0, -1))
LARGEST32, LARGEST64 = 3.4028234663852886e38, 1.7976931348623157e308


def _coefficients(x):
    """Return (ln 2 high, ln 2 low), the largest number and the series, for the element type of x."""
    raise AssertionError("only called in compiled code")


@overload(_coefficients, inline="always")
def _coefficients_for(x):
    if isinstance(x, Lanes) and x.element == types.float32:
        return lambda x: (REDUCTION32, LARGEST32, ODD32)
    return lambda x: (REDUCTION64, LARGEST64, ODD64)


@kernel
def twice_artanh(s):
    """Return 2 artanh(s) for |s| <= 1/3."""
    _, _, odd = _coefficients(s)
    square = s * s
    series = constant(s, odd[0])
    for coefficient in odd[1:]:
        series = fma(series, square, constant(s, coefficient))
    return fma((s + s) * square, series, s + s)


@kernel
def logarithm_1p(w):
    """Return log(1 + w) for w in [0, 1]; NaN stays NaN."""
    return twice_artanh(w / (w + constant(w, 2.0)))


@kernel
def logarithm(x):
    """Return log(x) of positive normal x; infinity and NaN stay what they are."""
    reduction, largest, _ = _coefficients(x)
    e, m = exponent_of(x), mantissa_of(x)
    large = m > constant(x, 1.4142135623730951)
    m = select(large, m * constant(x, 0.5), m)
    e = select(large, e + constant(x, 1.0), e)
    s = (m - constant(x, 1.0)) / (m + constant(x, 1.0))
    rest = fma(e, constant(x, reduction[1]), twice_artanh(s))
    return select(x <= constant(x, largest), fma(e, constant(x, reduction[0]), rest), x)


@kernel
def power(x, exponent):
    """Return x**exponent for positive normal x; `exponent` is a number."""
    return exponential(logarithm(x) * constant(x, exponent))
