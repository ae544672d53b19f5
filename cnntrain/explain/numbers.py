"""Numbers as people write and read them: whole numbers as such, fractions, few digits otherwise."""

from __future__ import annotations

import math
from fractions import Fraction

Number = int | float | Fraction
MINUS = "−"


def readable(value: Number, digits: int = 6) -> str:
    """Return a number as one reads it: 37, −0.5, 1/3, 0.119203; at most `digits` significant digits.

    Fractions whose decimals do not end stay fractions, and whole numbers keep up to 15 digits; what is too large or too
    small for a plain number gets an exponent.
    """
    if isinstance(value, Fraction) and not _is_decimal(value) and value.denominator < 100:
        return str(value).replace("-", MINUS)
    number = float(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "∞" if number > 0 else f"{MINUS}∞"
    if number.is_integer() and abs(number) < 1e15:
        text = str(int(number))
    else:
        text = f"{number:.{digits}g}"
        if "e" in text:
            mantissa, exponent = text.split("e")
            text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", MINUS)


def _is_decimal(value: Fraction) -> bool:
    """Tell whether decimals of a fraction end: its denominator is made of twos and fives."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1
