"""The standard normal distribution function of a lane vector, to the last digits of float32 and of float64.

The upper tail is Q(u) = erfc(u / sqrt(2)) / 2 = exp(-u**2 / 2) * R(u) for u >= 0. R varies slowly: (1 + u) R(u) as a
function of t = (u - 5) / (u + 5), which lies in [-1, 1), is a Chebyshev series that converges fast (the method of
Shepherd and Laframboise 1981, Math. Comp. 36, for erfc). The coefficients below are that series, computed with 60
digits and rearranged into powers of t; they leave 3e-17 (float64) and 2e-9 (float32) of R.
"""

from __future__ import annotations

from numba import types
from numba.extending import overload

from cnntrain.kernels.compiler.jit import kernel
from cnntrain.kernels.lanes import Lanes, absolute, constant, fma, select
from cnntrain.kernels.lanes.exponential import exponential

# fmt: off
TAIL32 = (
    -9.456979382126648e-06, -3.104840446405442e-05, 0.00018147120669705335, -1.784874008980792e-05,
    -0.001675405876716928, 0.006536668448619774, -0.015170663727661862, 0.024532804906545642, -0.026401000006211903,
    0.01000286251550557, 0.031030365673996262, -0.09155229981235101, 0.46151582987861284,
)
TAIL64 = (
    -3.815816262632953e-10, -2.8220772290629865e-10, 4.4011596227599254e-09, 3.627373163401201e-09,
    -3.095201755804207e-08, -2.6286205089898754e-08, 1.9627809920091187e-07, 1.27878221820937e-07,
    -1.3074486019237587e-06, -7.034644683537101e-08, 9.05982468125664e-06, -9.896097759279782e-06,
    -5.36075811148722e-05, 0.00018233414511643843, 7.791597409338999e-06, -0.00167607234455447, 0.006522000667783896,
    -0.015170415402514863, 0.024536963243678652, -0.026401042966308307, 0.010002352385229382, 0.031030368425963708,
    -0.09155228183400904, 0.46151582985003775,
)
# fmt: on
FARTHEST = 40.0  # exp(-u**2 / 2) is zero beyond, in both types


def _tail(x):
    """Return the coefficients for the element type of x."""
    raise AssertionError("only called in compiled code")


@overload(_tail, inline="always")
def _tail_for(x):
    if isinstance(x, Lanes) and x.element == types.float32:
        return lambda x: TAIL32
    return lambda x: TAIL64


@kernel
def normal_distribution(x):
    """Return P(x), the probability of a standard normal number below x, and exp(-x**2 / 2); NaN stays NaN."""
    u = absolute(x)
    u = select(u > constant(x, FARTHEST), constant(x, FARTHEST), u)
    # the square's rounding error, which exp would magnify: exp(-(h + l)) = exp(-h) (1 - l)
    half = u * constant(x, 0.5)
    high = half * u
    low = fma(half, u, constant(x, 0.0) - high)
    bell = exponential(constant(x, 0.0) - high)
    bell = bell - bell * low
    coefficients = _tail(x)
    t = (u - constant(x, 5.0)) / (u + constant(x, 5.0))
    series = constant(x, coefficients[0])
    for coefficient in coefficients[1:]:
        series = fma(series, t, constant(x, coefficient))
    tail = bell * (series / (u + constant(x, 1.0)))
    return select(x < constant(x, 0.0), tail, constant(x, 1.0) - tail), bell
