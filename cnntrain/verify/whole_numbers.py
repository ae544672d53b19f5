"""Whole numbers for proofs: how large they may be so that nothing rounds, exact sums of products, chances.

Every number that a kernel adds up, in any order and grouping, stays below 2**53 in float64 and 2**24 in float32: sums
are those of the integers. Winograd's transforms multiply with fractions (1/2, 1/3, 1/15): there rounding decides,
and numbers are kept so small that it can.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]

LARGEST = 1000  # numbers are drawn from -LARGEST ... LARGEST where nothing forbids it
NEAR = 0.25  # how far a result may lie from a whole number where rounding decides
BITS = {"float64": 53, "float32": 24}
# Typical size of a sum in each pass (forward, to the input, to the weights), in bits, that leaves Winograd in float32
# within about 0.1 of whole numbers (with 14 bits to the weights, patches of 8x8 came within 0.2), and in float64 within
# 1e-6.
TYPICAL_BITS = {"float64": (36, 36, 36), "float32": (12, 12, 13)}
_INT64 = 2**62  # sums of int64 that cannot wrap around, with a bit to spare


class Sizes(NamedTuple):
    """The largest input, weight and delta that are drawn."""

    x: int
    weight: int
    delta: int

    def __str__(self) -> str:
        x, weight, delta = self
        if x == weight == delta:
            return f"±{x}"
        return f"±{x}, weights ±{weight}" + (f", delta ±{delta}" if delta != x else "")


def sizes_for(dtype: np.dtype, terms: Sequence[int], rounds: Sequence[bool]) -> Sizes | None:
    """Return numbers, as large as can be, whose sums of products are exact in every pass.

    Parameters
    ----------
    dtype : float32 or float64
    terms : sequence of int
        Products that a number is the sum of: forward, to the input, to the weights.
    rounds : sequence of bool
        For the same passes: rounding decides, so that the typical sum is limited, not the largest.

    Returns
    -------
    Sizes or None
        None if not even -1, 0 and 1 will do.
    """
    # numbers up to a have the mean square a**2 / 3; n products of them add up like a random walk
    largest = 2 ** BITS[dtype.name] - LARGEST
    forward, to_input, to_weights = (
        3 * 2**bits // (isqrt(count) + 1) if decides else largest // count
        for count, decides, bits in zip(terms, rounds, TYPICAL_BITS[dtype.name], strict=True)
    )
    x = min(LARGEST, isqrt(to_weights), isqrt(min(forward, to_input)))
    if x == 0:
        return None
    return Sizes(x, min(LARGEST, forward // x, to_input // x), x)


def draw(generator: np.random.Generator, size: int, *shape: int) -> Whole:
    """Draw whole numbers from -size ... size, each as likely."""
    return generator.integers(-size, size + 1, shape)


def inner(a: Whole, b: Whole) -> int:
    """Return the sum of a b, exactly, as a Python integer."""
    a, b = a.ravel(), b.ravel()
    if not a.size:
        return 0
    largest = max(int(np.abs(a).max()), 1) * max(int(np.abs(b).max()), 1)
    if largest >= _INT64:
        return sum(int(x) * int(y) for x, y in zip(a, b, strict=True))
    piece = min(_INT64 // largest, a.size)
    return sum(int(np.dot(a[i : i + piece], b[i : i + piece])) for i in range(0, a.size, piece))


class Rounded(NamedTuple):
    """Results as whole numbers, and what is wrong with them.

    Attributes
    ----------
    values : ndarray of int64
    distance : float
        The largest distance of a result from a whole number.
    fault : str
        Why they are no whole numbers; empty if they are.
    """

    values: Whole
    distance: float
    fault: str


def whole(array: NDArray[Any], exact: bool) -> Rounded:
    """Return floating-point results as whole numbers.

    Parameters
    ----------
    array : ndarray
        float32 or float64.
    exact : bool
        They must be whole numbers; otherwise they may lie `NEAR` them.
    """
    if not np.isfinite(array).all():
        place = _place(~np.isfinite(array))
        return Rounded(np.zeros(array.shape, np.int64), 0.0, f"{array[place]} at {_text(place)}")
    doubles = array.astype(np.float64, copy=False)
    nearest = np.rint(doubles)
    apart = np.abs(doubles - nearest)
    distance = float(apart.max(initial=0.0))
    fault = ""
    if np.abs(nearest).max(initial=0.0) >= 2.0**53:
        place = _place(np.abs(nearest) >= 2.0**53)
        fault = f"{array[place]:g} at {_text(place)}, larger than any right result"
        nearest = np.zeros_like(nearest)
    elif distance > (0 if exact else NEAR):
        place = tuple(map(int, np.unravel_index(int(apart.argmax()), array.shape)))
        fault = f"{float(array[place])!r} at {_text(place)} is no whole number"
    return Rounded(nearest.astype(np.int64), distance, fault)


def difference(what: str, found: NDArray[Any], right: NDArray[Any]) -> str:
    """Say where two arrays differ first; empty if nowhere."""
    if found.shape != right.shape:
        return f"{what}: shape {found.shape}, not {right.shape}"
    if np.array_equal(found, right):
        return ""
    wrong = found != right
    place = _place(wrong)
    return f"{what} at {_text(place)} is {found[place]}, not {right[place]} ({int(wrong.sum())} of {wrong.size} wrong)"


def _place(where: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(map(int, np.argwhere(where)[0]))


def _text(place: Sequence[int]) -> str:
    return f"[{','.join(map(str, place))}]"


def chance(degrees: Sequence[int]) -> float:
    """Return a bound on the chance that a wrong result passes one trial.

    A polynomial that is not zero, of degree 1 in each of some groups of variables, is zero at a random point with a
    chance of at most the sum of 1 / (size of the set from which a group is drawn) (Schwartz 1980, Zippel 1979).

    Parameters
    ----------
    degrees : sequence of int
        For each group the largest number: the set is -largest ... largest.
    """
    return min(1.0, sum(1 / (2 * largest + 1) for largest in degrees))
