"""Whole numbers: how large they may be, exact sums, and what is said of results that are none."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from cnntrain.verify.proof_report import shown_chance
from cnntrain.verify.whole_numbers import Sizes, chance, difference, draw, inner, sizes_for, whole

FLOAT64, FLOAT32 = np.dtype(np.float64), np.dtype(np.float32)
NO = [False] * 3


@pytest.mark.parametrize("terms", [(25, 150, 64 * 784), (400, 120, 64), (1, 1, 1), (144, 144, 131072)])
def test_no_sum_leaves_the_bits_of_its_type(terms: tuple[int, int, int]) -> None:
    for dtype, bits in ((FLOAT64, 53), (FLOAT32, 24)):
        sizes = sizes_for(dtype, terms, NO)
        assert sizes is not None
        x, weight, delta = sizes
        assert min(sizes) >= 1
        assert max(terms[0] * x * weight + x, terms[1] * weight * delta, terms[2] * x * delta) < 2**bits


def test_sizes_by_hand() -> None:
    assert sizes_for(FLOAT64, (25, 150, 50176), NO) == Sizes(1000, 1000, 1000)
    assert sizes_for(FLOAT32, (25, 150, 50176), NO) == Sizes(18, 1000, 18)  # 18 * 18 * 50176 < 2**24 < 19 * 19 * 50176
    assert str(Sizes(5, 5, 5)) == "±5"
    assert str(Sizes(18, 1000, 18)) == "±18, weights ±1000"


def test_too_many_products_for_any_number() -> None:
    assert sizes_for(FLOAT32, (9, 9, 2**24), NO) is None


def test_inner_products_are_those_of_pythons_integers() -> None:
    generator = np.random.default_rng(1)
    for size in (1, 10, 2**31, 2**53):
        a, b = (draw(generator, size, 7, 5) for _ in range(2))
        assert inner(a, b) == sum(int(x) * int(y) for x, y in zip(a.ravel(), b.ravel(), strict=True))
    assert inner(np.full(100, 2**31), np.full(100, 2**31)) == 100 * 2**62
    assert inner(np.zeros(0, np.int64), np.zeros(0, np.int64)) == 0


def test_all_whole_numbers_are_drawn() -> None:
    drawn = draw(np.random.default_rng(1), 2, 1000)
    assert sorted(set(drawn.tolist())) == [-2, -1, 0, 1, 2]


@pytest.mark.parametrize(
    ("value", "exact", "fault"),
    [
        (3.0, True, ""),
        (3.1, False, ""),
        (3.1, True, "3.1 at [0,1] is no whole number"),
        (3.3, False, "3.3 at [0,1] is no whole number"),
        (np.nan, True, "nan at [0,1]"),
        (np.inf, False, "inf at [0,1]"),
        (2.0**60, True, "1.15292e+18 at [0,1], larger than any right result"),
    ],
)
def test_what_is_a_whole_number(value: float, exact: bool, fault: str) -> None:
    found = whole(np.array([[1.0, value]]), exact)
    assert found.fault == fault
    if not fault:
        assert found.values.tolist() == [[1, 3]]
        assert found.distance == pytest.approx(value - 3)


def test_differences_are_named() -> None:
    right = np.array([[1, 2], [3, 4]])
    assert difference("y", right, right) == ""
    wrong = np.array([[1, 2], [8, 4]])
    assert difference("y", wrong, right) == "y at [1,0] is 8, not 3 (1 of 4 wrong)"
    assert difference("y", right[0], right) == "y: shape (2,), not (2, 2)"


def test_the_bound_of_schwartz_and_zippel_holds_where_all_points_can_be_counted() -> None:
    """(x - w) delta, of degree 1 in each of three, is zero where x = w, and where delta is 0."""
    values = range(-2, 3)
    zeros = sum((x - w) * d == 0 for x, w, d in product(values, repeat=3))
    assert Fraction(zeros, 125) <= Fraction(3, 5)
    assert chance([2, 2, 2]) == pytest.approx(3 / 5)
    assert chance([0, 0]) == 1


@pytest.mark.parametrize(
    ("bound", "text"), [(1.0, "1"), (0.51, "6e-01"), (2.0e-7, "2e-07"), (2.01e-7, "3e-07"), (9.7e-15, "1e-14")]
)
def test_a_bound_is_never_shown_smaller(bound: float, text: str) -> None:
    assert shown_chance(bound) == text
