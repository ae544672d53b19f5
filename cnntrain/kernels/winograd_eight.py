"""Winograd's matrices for patches of 8x8 pixels and 5x5 taps, each as the product with a column, factored by hand.

The points are 0, 1, -1, 1/2, -1/2, 2, -2 and infinity: of all sets of eight, these amplify rounding errors least (a
search: docs/performance.md). Rows of two opposite points are the sum and the difference of an even and an odd part.

Letters as in `kernels.winograd`; columns are tuples of lane vectors.
"""

from __future__ import annotations

from cnntrain.kernels.compiler.jit import kernel
from cnntrain.kernels.lanes import constant, fma


@kernel
def patch_part(x):
    """Multiply Bt with a column.

         | 1   0  -21/4    0    21/4    0   -1   0 |
         | 0   1    1   -17/4  -17/4    1    1   0 |
         | 0  -1    1    17/4  -17/4   -1    1   0 |
    Bt = | 0   2    4   -5/2    -5     1/2   1   0 |
         | 0  -2    4    5/2    -5    -1/2   1   0 |
         | 0  1/2  1/4  -5/2   -5/4     2    1   0 |
         | 0 -1/2  1/4   5/2   -5/4    -2    1   0 |
         | 0  -1    0   21/4     0   -21/4   0   1 |
    """
    a, b, c, d, e, f, g, h = x
    ends, most, two = constant(a, 5.25), constant(a, -4.25), constant(a, 2)
    even1, odd1 = fma(most, e, c + g), fma(most, d, b + f)
    even2, odd2 = fma(constant(a, 4), c, fma(constant(a, -5), e, g)), fma(two, b, fma(constant(a, -2.5), d, f / two))
    even3 = fma(constant(a, 0.25), c, fma(constant(a, -1.25), e, g))
    odd3 = fma(constant(a, 0.5), b, fma(constant(a, -2.5), d, two * f))
    return (
        fma(ends, e - c, a - g), even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2, even3 + odd3, even3 - odd3,
        fma(ends, d - f, h - b),
    )  # fmt: skip


@kernel
def pixel_part(x):
    """Multiply B with a column."""
    a, b, c, d, e, f, g, h = x
    s1, d1, s2, d2, s3, d3 = b + c, b - c, d + e, d - e, f + g, f - g
    ends, most, two, half = constant(a, 5.25), constant(a, -4.25), constant(a, 2), constant(a, 0.5)
    x2 = fma(constant(a, 4), s2, fma(constant(a, 0.25), s3, s1))
    x4 = fma(most, s1, fma(constant(a, -5), s2, constant(a, -1.25) * s3))
    x3 = fma(most, d1, constant(a, -2.5) * (d2 + d3))
    return (
        a, fma(two, d2, fma(half, d3, d1 - h)), fma(constant(a, -5.25), a, x2), fma(ends, h, x3), fma(ends, a, x4),
        fma(half, d2, fma(two, d3, fma(constant(a, -5.25), h, d1))), (s1 - a) + (s2 + s3), h,
    )  # fmt: skip


@kernel
def output_part(x):
    """Multiply At with a column; in the order of additions, large numbers that cancel out meet first.

         | 1  1   1   1    1   1   1  0 |
    At = | 0  1  -1  1/2 -1/2  2  -2  0 |
         | 0  1   1  1/4  1/4  4   4  0 |
         | 0  1  -1  1/8 -1/8  8  -8  1 |
    """
    a, b, c, d, e, f, g, h = x
    s1, d1, s2, d2, s3, d3 = b + c, b - c, d + e, d - e, f + g, f - g
    y1 = fma(constant(a, 0.5), d2, fma(constant(a, 2), d3, d1))
    y2 = fma(constant(a, 0.25), s2, fma(constant(a, 4), s3, s1))
    y3 = fma(constant(a, 8), d3, h) + fma(constant(a, 0.125), d2, d1)
    return (a + s2) + (s1 + s3), y1, y2, y3


@kernel
def delta_part(a, b, c, d):
    """Multiply A with a column."""
    half, quarter, eighth = constant(a, 0.5), constant(a, 0.25), constant(a, 0.125)
    two, four, eight = constant(a, 2), constant(a, 4), constant(a, 8)
    even1, odd1 = a + c, b + d
    even2, odd2 = fma(quarter, c, a), fma(eighth, d, half * b)
    even3, odd3 = fma(four, c, a), fma(eight, d, two * b)
    return a, even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2, even3 + odd3, even3 - odd3, d


@kernel
def filter_part(a, b, c, d, e):
    """Multiply G with a column of a filter.

    G has for each point p the row (1, p, p^2, p^3, p^4) divided by the product of p's differences from the other
    points (1 for 0 after a change of sign, as in Bt; -9/2 for 1 and -1; 45/32 for halves; 90 for 2 and -2), and for
    infinity (0, 0, 0, 0, 1).
    """
    two, four, eight, sixteen = constant(a, 2), constant(a, 4), constant(a, 8), constant(a, 16)
    even1, odd1 = (a + c) + e, b + d
    even2, odd2 = fma(sixteen, a, fma(four, c, e)), fma(eight, b, two * d)
    even3, odd3 = fma(sixteen, e, fma(four, c, a)), fma(eight, d, two * b)
    ones, halves, twos = constant(a, -4.5), constant(a, 22.5), constant(a, 90)
    return (
        a, (even1 + odd1) / ones, (even1 - odd1) / ones, (even2 + odd2) / halves, (even2 - odd2) / halves,
        (even3 + odd3) / twos, (even3 - odd3) / twos, e,
    )  # fmt: skip


@kernel
def gradient_part(x):
    """Multiply Gt with a column; as in `output_part`, what cancels out meets first."""
    a, b, c, d, e, f, g, h = x
    ones, halves, twos = constant(a, -4.5), constant(a, 22.5), constant(a, 90)
    s1, d1 = (b + c) / ones, (b - c) / ones
    s2, d2 = (d + e) / halves, (d - e) / halves
    s3, d3 = (f + g) / twos, (f - g) / twos
    two, four, eight, sixteen = constant(a, 2), constant(a, 4), constant(a, 8), constant(a, 16)
    return (
        fma(sixteen, s2, a) + (s1 + s3), fma(eight, d2, fma(two, d3, d1)), fma(four, s2 + s3, s1),
        fma(two, d2, fma(eight, d3, d1)), fma(sixteen, s3, h) + (s1 + s2),
    )  # fmt: skip
