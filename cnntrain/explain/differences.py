"""Central differences: the derivative by moving a number a little, both ways; a witness that knows no formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cnntrain.explain.agreement import DisagreementError

STEP = 1e-4  # of a lesson's small numbers: the error is about STEP**2, and rounding 1e-16 / STEP
DIGITS = 9  # behind the point; what follows is rounding
ALLOWED = 1e-6  # relative to the larger of the derivative and 1

Array = NDArray[np.float64]


def central_differences(cost: Callable[[Array], float], at: Array) -> Array:
    """Return (cost(v + h) - cost(v - h)) / 2h for each element of an array."""
    result = np.empty_like(at)
    for place in np.ndindex(at.shape):
        sides = []
        for sign in (1, -1):
            moved = at.copy()
            moved[place] += sign * STEP
            sides.append(cost(moved))
        result[place] = (sides[0] - sides[1]) / (2 * STEP)
    return result


def witnessed(name: str, formula: float, difference: float) -> float:
    """Return a central difference if it agrees with what a formula gave; raises `DisagreementError` otherwise."""
    if not abs(formula - difference) <= ALLOWED * max(1.0, abs(formula)):
        raise DisagreementError(
            f"{name}: the formula gives {formula!r}, the central difference {difference!r}; a lesson shows no "
            "derivative that is none. Does a number lie on a corner (a ReLU at 0, two equal values in a pooling "
            "window)?"
        )
    return round(difference, DIGITS) + 0.0
