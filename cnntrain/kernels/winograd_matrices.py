"""Winograd's matrices, each as the product with a column, factored by hand; below each the product with its transpose.

The algorithm multiplies polynomials by their values at some points. For patches of 6x6 pixels these are 0, 1, -1, 1/2,
-2 and infinity, which round better than the usual ones with +-2 (Barabasz et al. 2020); how well is said in
docs/performance.md. Bt is the same for 3x3 and 5x5 taps. Patches of 8x8 pixels: `kernels.winograd_eight`. A product
with a matrix from the right is that of its transpose with a row.

Letters as in `kernels.winograd`; columns are tuples of lane vectors, or of register tiles.
"""

from __future__ import annotations

from cnntrain.kernels import winograd_eight
from cnntrain.kernels.compiler.jit import kernel
from cnntrain.kernels.lanes import constant, fma


@kernel
def patch_part(x):
    """Multiply Bt with a column.

         | 1  -3/2  -2   3/2   1   0 |
         | 0   -1   1/2  5/2   1   0 |
    Bt = | 0    1  -5/2  1/2   1   0 |
         | 0   -2   -1    2    1   0 |
         | 0   1/2  -1  -1/2   1   0 |
         | 0    1  -3/2  -2   3/2  1 |
    """
    if len(x) == 8:
        return winograd_eight.patch_part(x)
    a, b, c, d, e, f = x
    more = constant(a, 1.5)
    p, q = d - b, e - c
    v, w = fma(more, d, q), fma(more, c, p)
    return (
        fma(more, p, q - (c - a)), v + w, v - w, fma(constant(a, 2), p, q), fma(constant(a, -0.5), p, q),
        fma(more, q, (f - d) - p),
    )  # fmt: skip


@kernel
def pixel_part(x):
    """Multiply B with a column."""
    if len(x) == 8:
        return winograd_eight.pixel_part(x)
    a, b, c, d, e, f = x
    more = constant(a, 1.5)
    v, w = b + c, b - c
    p = fma(more, a, fma(constant(a, 2), d, fma(constant(a, -0.5), e, w - f)))
    q = (a + d) + (e + fma(more, f, v))
    return a, constant(a, 0) - p, fma(more, w, constant(a, 0) - (q + a)), fma(more, v, p - f), q, f


@kernel
def output_part(x, side):
    """Multiply At with a column: as many of these rows as squares have, and f is added to the last of them.

         | 1  1   1   1    1  0 |
    At = | 0  1  -1  1/2  -2  0 |
         | 0  1   1  1/4   4  0 |
         | 0  1  -1  1/8  -8  0 |
    """
    if len(x) == 8:
        return winograd_eight.output_part(x)
    a, b, c, d, e, f = x
    even, odd = b + c, b - c
    y0 = (a + even) + (d + e)
    y1 = fma(constant(a, 0.5), d, fma(constant(a, -2), e, odd))
    y2 = fma(constant(a, 0.25), d, fma(constant(a, 4), e, even))
    y3 = fma(constant(a, 0.125), d, fma(constant(a, -8), e, odd))
    if len(side) == 2:
        return y0, y1 + f, y2, y3
    return y0, y1, y2, y3 + f


@kernel
def delta_part(a, b, c, d, patch, side):
    """Multiply A with a column; where squares have two outputs, c and d are not read."""
    if len(patch) == 8:
        return winograd_eight.delta_part(a, b, c, d)
    half, minus_two = constant(a, 0.5), constant(a, -2)
    if len(side) == 2:
        return a, a + b, a - b, fma(half, b, a), fma(minus_two, b, a), b
    even, odd = a + c, b + d
    return (
        a, even + odd, even - odd, fma(half, fma(half, fma(half, d, c), b), a),
        fma(minus_two, fma(minus_two, fma(minus_two, d, c), b), a), d,
    )  # fmt: skip


@kernel
def filter_part(a, b, c, d, e, patch, side):
    """Multiply G with a column of a filter; with three taps, d and e are 0.

    G has for each point p the row (1, p, p^2, ...) divided by the product of p's differences from the other points
    (1, 3, -3, -15/16 and 15), and for infinity (0, ..., 0, 1).
    """
    if len(patch) == 8:
        return winograd_eight.filter_part(a, b, c, d, e)
    even, odd = (a + c) + e, b + d
    two, four, eight, sixteen = constant(a, 2), constant(a, 4), constant(a, 8), constant(a, 16)
    half = fma(sixteen, a, fma(eight, b, fma(four, c, fma(two, d, e))))
    minus_two = fma(sixteen, e, fma(four, c, a)) - fma(eight, d, two * b)
    return (
        a, (even + odd) / constant(a, 3), (odd - even) / constant(a, 3), half / constant(a, -15),
        minus_two / constant(a, 15), c if len(side) == 4 else e,
    )  # fmt: skip


@kernel
def gradient_part(x, side):
    """Multiply Gt with a column; where filters have three taps, the last two results are of no use."""
    if len(x) == 8:
        return winograd_eight.gradient_part(x)
    a, b, c, d, e, f = x
    b, c = b / constant(a, 3), c / constant(a, -3)
    d, e = d / constant(a, -15), e / constant(a, 15)
    even, odd = b + c, b - c
    y0 = a + even + fma(constant(a, 16), d, e)
    y1 = odd + fma(constant(a, 8), d, constant(a, -2) * e)
    y2 = even + constant(a, 4) * (d + e)
    y3 = odd + fma(constant(a, 2), d, constant(a, -8) * e)
    y4 = even + fma(constant(a, 16), e, d)
    if len(side) == 4:
        return y0, y1, y2 + f, y3, y4
    return y0, y1, y2, y3, y4 + f
