"""How many kernels are still to be compiled, and how long that may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

# Seconds that a kernel takes to compile (one core, Xeon with AVX-512, 2026-11-28); only ratios count. Others: the last.
_COSTS = {
    "correlate_rows": 1.9, "correlate_patches": 1.9, "add_patches": 1.9, "weights_by_patches": 1.9, "by_positions": 1.8,
    "by_lanes": 1.5, "correlate_and_pool": 1.2, "correlate": 0.9, "depthwise_weight_gradient": 0.9, "depthwise": 0.6,
    "max_pool": 0.4, "multiply": 0.4, "": 0.25,
}  # fmt: skip


def cost(kernel: str) -> float:
    """Return about how long a kernel takes to compile, compared with others."""
    return _COSTS.get(kernel, _COSTS[""])


class Estimate:
    """Counts kernels as they begin to compile, and tells from the time that some took when the rest is done.

    Parameters
    ----------
    expected : sequence of str or None
        The names of the kernels that have to be compiled from now on; None if nobody knows.
    processes : int
        How many share the work.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self, expected: Sequence[str] | None, processes: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._expected = None if expected is None else list(expected)
        self._share = sum(map(cost, self._expected or ())) / processes
        self._clock, self._begin = clock, 0.0
        self._names: list[str] = []  # compiled here
        self._found = 0

    def next(self, kernel: str) -> str:
        """Note that a kernel begins to compile, here; return what can be said, as " (3 of 16, about 7 s left)".

        The first one's time says little: Numba makes itself ready to compile in it.
        """
        self._names.append(kernel)
        if len(self._names) == 2:
            self._begin = self._clock()
        if self._expected is None:
            return ""
        number = len(self._names) + self._found
        said = f"{number} of {max(len(self._expected), number)}"
        if len(self._names) > 2:
            first, *measured, _ = map(cost, self._names)
            left = max(self._share - first - sum(measured), cost(kernel))
            said += f", about {max(round((self._clock() - self._begin) / sum(measured) * left), 1)} s left"
        return f" ({said})"

    def found(self) -> None:
        """Note that a kernel is there that another process has compiled."""
        self._found += 1
