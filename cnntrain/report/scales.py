"""From numbers to places in a drawing: scales, and the round numbers beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Numbers from `low` to `high` lie between the places `start` and `end`, evenly or by their logarithms."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a number."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        share = (value - low) / (high - low)
        return self.start + (self.end - self.start) * share

    def ticks(self, about: int) -> list[float]:
        """Return about so many round numbers in between."""
        return _decades(self.low, self.high, about) if self.logarithmic else _steps(self.low, self.high, about)


def scale_over(values: Sequence[float], start: float, end: float, *, logarithmic: bool = False) -> Scale:
    """Return a scale with room for all values, and a little more.

    Parameters
    ----------
    values : sequence of float
        Finite; for a logarithmic scale above 0. Without any, 0 to 1.
    start, end : float
    logarithmic : bool
    """
    if not values:
        return Scale(0.1, 1, start, end, logarithmic)
    low, high = min(values), max(values)
    if logarithmic:
        decades = math.log10(high) - math.log10(low)
        room = 10 ** (0.05 * decades) if decades > 0.01 else 1.5
        return Scale(max(low / room, 5e-324), min(high * room, 1e308), start, end, True)
    room = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    return Scale(low - room, high + room, start, end)


def _steps(low: float, high: float, about: int) -> list[float]:
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((factor * power for factor in (1, 2, 5) if factor * power >= raw), 10 * power)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [count * step for count in range(first, last + 1)]


def _decades(low: float, high: float, about: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    stride = max(1, (last - first) // about)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        found = [
            factor * 10.0**power
            for power in range(first, last + 1, stride)
            for factor in factors
            if low <= factor * 10.0**power <= high
        ]
        if len(found) >= 3:
            return found
    return _steps(low, high, about)
