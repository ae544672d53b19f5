"""What counts as the same number: everything where all is exact, rounding where it is not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from cnntrain.errors import MismatchError
from cnntrain.explain.agreement import agreed
from cnntrain.explain.differences import witnessed

THIRD = Fraction(1, 3)


@pytest.mark.parametrize(
    ("kernel", "terms", "constant"),
    [
        (14.0, [(1, 2), (3, 4)], 0),
        (0.25, [(Fraction(1, 2), Fraction(1, 2))], 0),
        (-0.0, [(Fraction(0), Fraction(-3))], 0),
        (0.0, [], 0),
        (2.5, [], Fraction(5, 2)),
        (1 / 9, [(THIRD, THIRD)], 0),
        (1 / 9 + 1e-16, [(THIRD, THIRD)], 0),
        (math.sin(1) * 2, [(math.sin(1), 2)], 0),
        (1e-13, [(Fraction(1, 10), 1), (Fraction(-1, 10), 1)], 0),  # tenths are rounded, so the rest may be
    ],
)
def test_the_same(kernel: float, terms: list[Sequence[Any]], constant: Any) -> None:
    value = agreed("z", kernel, terms, constant)
    assert value == kernel
    assert math.copysign(1, value) == 1 or value < 0  # no -0


@pytest.mark.parametrize(
    ("kernel", "terms"),
    [
        (np.nextafter(14, 15), [(1, 2), (3, 4)]),
        (np.nextafter(0.25, 0), [(Fraction(1, 2), Fraction(1, 2))]),
        (5e-324, [(Fraction(1), Fraction(0))]),
        (1 / 9 + 1e-11, [(THIRD, THIRD)]),
        (math.nan, [(1, 2)]),
        (math.inf, [(1e308, 10)]),
        (0.0, [(1, 1)]),
    ],
)
def test_not_the_same(kernel: float, terms: list[Sequence[Any]]) -> None:
    with pytest.raises(MismatchError, match="z₁₂: the kernel gives .*, the sum that would be shown beside it"):
        agreed("z₁₂", kernel, terms)


def test_sums_that_float64_cannot_hold_are_compared_to_rounding() -> None:
    large, small = Fraction(2**53), Fraction(1)
    assert agreed("z", 2.0**53, [(large,), (small,)]) == 2.0**53
    with pytest.raises(MismatchError):
        agreed("z", 2.0**53 + 2**20, [(large,), (small,)])


def test_differences() -> None:
    at = np.array([1.0, 2.0])
    assert witnessed("g", 4.0, lambda v: float((v**2).sum()), at, (1,)) == pytest.approx(4, abs=1e-8)
    with pytest.raises(MismatchError, match=r"g₂: the formula gives 4\.1, the central difference 3\.99|4\.0"):
        witnessed("g₂", 4.1, lambda v: float((v**2).sum()), at, (1,))
    assert at.tolist() == [1, 2]


def test_a_loss_that_bends_sharply_needs_a_smaller_step() -> None:
    slope = 1000 * math.cos(1000)
    assert witnessed("g", slope, lambda v: math.sin(1000 * v[0]), np.array([1.0]), (0,)) == pytest.approx(
        slope, rel=1e-6
    )
