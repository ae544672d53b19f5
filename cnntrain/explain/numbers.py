"""Numbers as people write and read them: whole numbers as such, fractions, few digits otherwise."""

from __future__ import annotations

import math
from fractions import Fraction

Number = int | float | Fraction
MINUS = "−"


def readable(value: Number, digits: int = 6) -> str:
    """Return a number as one reads it: 37, −0.5, 0.119203; at most `digits` significant ones behind a whole part.

    Whole numbers keep all their digits up to 15; what is too large or too small for a plain number gets an exponent.
    """
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
