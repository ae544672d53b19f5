"""No number is shown that the kernels and the sum beside it do not agree on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from cnntrain.errors import MismatchError
from cnntrain.explain.document import Sum
from cnntrain.explain.numbers import Number

ROUNDING = 1e-12  # of the sum of the terms' sizes: many times what float64 loses in a lesson's few terms
EXACT = 2**53  # whole numbers of float64


def agreed(name: str, kernel: float, terms: Iterable[Sequence[Number]], constant: Number = 0) -> float:
    """Return the kernel's number if it is the sum of the terms' products.

    Where the factors are fractions that float64 holds, and so are all sums that can arise on the way, the two must be
    equal; otherwise they may differ by rounding.

    Parameters
    ----------
    name : str
        What is computed, for the error.
    kernel : float
    terms : iterable of sequences of numbers
        The factors of each term; Fractions are multiplied exactly.
    constant : number
        Added.

    Raises
    ------
    MismatchError
        When they differ.
    """
    terms = [*terms, (constant,)]
    products: list[Number] = [math.prod(term, start=Fraction(1)) for term in terms]
    total: Number = sum(products)
    size = sum(abs(float(product)) for product in products)
    value = float(kernel)
    exact = all(_is_exact(factor) for term in terms for factor in term) and _fits(products)
    allowed = 0.0 if exact else ROUNDING * max(size, 1e-3)
    if not math.isfinite(value) or abs(Fraction(value) - Fraction(total)) > allowed:
        raise MismatchError(
            f"{name}: the kernel gives {value!r}, the sum that would be shown beside it {float(total)!r}; "
            "a lesson shows no number that is not its sum. Please report this"
        )
    return value + 0.0  # no -0


def check_sum(written: Sum) -> None:
    """Compare the terms of a sum, as they are to be printed, with the value behind them; raises `MismatchError`."""
    terms = [[cell for cell in term if not isinstance(cell, str)] for term in written.terms]
    if not isinstance(written.value, str) and [len(t) for t in terms] == [len(t) for t in written.terms]:
        agreed(written.name, float(written.value), terms)


def _is_exact(number: Number) -> bool:
    """Tell whether a number is a fraction, or whole, and float64 holds it."""
    return isinstance(number, Fraction | int) and Fraction(float(number)) == number


def _fits(products: Sequence[Number]) -> bool:
    """Tell whether float64 holds each of these and every sum of some of them."""
    fractions = [Fraction(product) for product in products]
    unit = max(each.denominator for each in fractions)
    return sum(abs(each) for each in fractions) * unit < EXACT
