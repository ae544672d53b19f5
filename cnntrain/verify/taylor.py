"""Taylor's test of second order.

For a function f with the gradient g, f(x + h d) - f(x) - h <g, d> falls as h**2: the slope of its logarithm over that
of h is 2. With a wrong gradient it falls as h, slope 1. Where f is straight, as a rectifier is away from its corner,
nothing but rounding is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.verify.proof import PassProof

STEPS = [2.0**-k for k in range(8, 21, 2)]
LOWEST = 1.9  # a slope from which the remainder falls as the square; a third power, 3, is as right
DIRECTIONS = 8  # tried where the remainder happens to vanish, or a corner lies in between
NOISE = 16.0  # rounding errors of a sum, in units of its last places
CLOSE = 1e-12  # to the same formula in NumPy (measured: at most 2e-15)
TRIALS = 2  # a full batch and one with an incomplete block
EPS = float(np.finfo(np.float64).eps)

Array = NDArray[np.float64]


class Slope(NamedTuple):
    """How a remainder falls: `slope` is None where nothing but rounding is left; `decided` False next to corners."""

    slope: float | None
    decided: bool = True

    @property
    def right(self) -> bool:
        """The gradient is right."""
        return self.decided and (self.slope is None or self.slope >= LOWEST)


def slope_of(difference: Callable[[float], tuple[float, float] | None], linear: float) -> Slope:
    """Return how the remainder of Taylor's theorem falls.

    Parameters
    ----------
    difference : callable
        Of a step h: f(x + h d) - f(x), and what rounding may do to it; None if a corner lies in between.
    linear : float
        <gradient, d>.
    """
    remainders = []
    for h in STEPS:
        found = difference(h)
        if found is not None:
            remainders.append((h, abs(found[0] - h * linear), found[1]))
    if len(remainders) < 2:
        return Slope(None, decided=False)
    if not all(math.isfinite(rest) for _, rest, _ in remainders):
        return Slope(math.nan)
    if all(rest <= noise for _, rest, noise in remainders):
        return Slope(None)
    seen = [(h, rest) for h, rest, noise in remainders if rest > 30 * noise]
    if len(seen) < 2:
        return Slope(None, decided=False)
    (h, rest), (half, less) = seen[-2:]
    return Slope(math.log(rest / less) / math.log(h / half))


def best_of(attempt: Callable[[], Slope]) -> Slope:
    """Try further directions where one says nothing or too little: with a wrong gradient none gives 2."""
    found = Slope(None, decided=False)
    for _ in range(DIRECTIONS):
        found = attempt()
        if found.right:
            break
    return found


def proof_of(path: str, name: str, algorithm: str, slopes: list[Slope], fault: str) -> PassProof:
    """Return what some slopes say; `fault` is what else is wrong."""
    wrong = [found for found in slopes if found.decided and not found.right]
    if fault or wrong:
        why = fault or f"slope {wrong[0].slope:.2f}, not 2: the gradient is not that of the function"
        return PassProof(path, name, algorithm, "float64", len(slopes), "WRONG", None, why)
    if not all(found.decided for found in slopes):
        why = "corners everywhere: no direction without one was found"
        return PassProof(path, name, algorithm, "float64", len(slopes), "not tried", None, why)
    curved = [found.slope for found in slopes if found.slope is not None]
    if not curved:
        return PassProof(path, name, algorithm, "float64", len(slopes), "straight", None, "no remainder")
    return PassProof(path, name, algorithm, "float64", len(slopes), "smooth", None, f"slope {min(curved):.2f}")


def distance(found: Any, right: Any) -> float:
    """Return the largest difference, in units of what is right where that is larger than 1; infinity for NaN."""
    largest = float((np.abs(found - right) / np.maximum(1, np.abs(right))).max(initial=0.0))
    return math.inf if math.isnan(largest) else largest


def proof_of_distance(path: str, name: str, algorithm: str, trials: int, apart: float) -> PassProof:
    """Return what it says that outputs lie so far from those of a second form."""
    if apart > CLOSE:
        why = f"{apart:.1g} from the same formula in NumPy"
        return PassProof(path, name, algorithm, "float64", trials, "WRONG", None, why)
    return PassProof(
        path,
        name,
        algorithm,
        "float64",
        trials,
        "close",
        None,
        f"at most {apart:.0e} from NumPy" if apart else "as NumPy",
    )


def other_piece(made: NDArray[Any] | None, before: NDArray[Any] | None) -> bool:
    """Tell whether decisions differ from those at the point itself."""
    return made is not None and before is not None and not np.array_equal(made, before)
