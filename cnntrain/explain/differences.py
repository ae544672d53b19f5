"""Central differences: the derivative by moving a number a little, both ways; a witness that knows no formula."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import MismatchError

# From step to step the error falls with its square, and what rounding adds grows: large steps do for small numbers,
# small ones where a loss bends sharply, as with pixels of 0 to 255.
STEPS = (1e-4, 1e-6, 1e-8)
ALLOWED = 1e-6  # relative to the larger of the derivative and 1
ROUNDING = 16 * np.finfo(np.float64).eps  # of a cost, relative to its size
DIGITS = 9  # behind the point; what follows is rounding

Array = NDArray[np.float64]


def witnessed(name: str, formula: float, cost: Callable[[Array], float], at: Array, place: tuple[int, ...]) -> float:
    """Return (cost(v + h) - cost(v - h)) / 2h for one element, if it agrees with what a formula gave.

    Parameters
    ----------
    name : str
        What it is the derivative of, for the error.
    formula : float
        The derivative.
    cost : callable
        Of an array like `at`.
    at : ndarray, float64
    place : tuple of int
        Which element moves.

    Raises
    ------
    MismatchError
        When no step h gives it.
    """
    difference = math.nan
    for step in STEPS:
        costs = []
        for sign in (1, -1):
            moved = at.copy()
            moved[place] += sign * step
            costs.append(cost(moved))
        difference = (costs[0] - costs[1]) / (2 * step)
        allowed = ALLOWED * max(1.0, abs(formula)) + ROUNDING * max(map(abs, costs)) / step
        if abs(formula - difference) <= allowed:
            return round(difference, DIGITS) + 0.0
    raise MismatchError(
        f"{name}: the formula gives {formula!r}, the central difference {difference!r}; a lesson shows no derivative "
        "that is none. Please report this"
    )
