"""What this machine can do at most, and what this process has needed."""

from __future__ import annotations

import sys
from typing import Any

import numba
import numpy as np

from cnntrain.bench.timing import each_of, seconds_of
from cnntrain.kernels.compiler.threads import set_threads
from cnntrain.kernels.peak import six_chains, three_chains, twelve_chains
from cnntrain.shape import LANES

_LOOPS = ((three_chains, 3), (six_chains, 6), (twelve_chains, 12))


class Peak:
    """The rate of fused multiply-adds on registers alone: nothing that reads memory can be faster.

    Which loop fits the registers of this machine is found out by trying, when the object is made.

    Parameters
    ----------
    dtype : float32 or float64
    seconds : float
        About how long each measurement takes.
    """

    def __init__(self, dtype: Any = np.float32, seconds: float = 0.0005) -> None:
        self._out = np.zeros(LANES * numba.config.NUMBA_NUM_THREADS, dtype)  # type: ignore[attr-defined]
        self._rounds = 1000
        best = 0.0
        for loop, chains in _LOOPS:
            loop(self._out, 10, 1)  # compiles
            # the least of several: an interrupted call says nothing of the loop
            while min(each_of(lambda: loop(self._out, self._rounds, 1), 3)) < seconds:  # noqa: B023
                self._rounds *= 2
            found = max(self._rate(loop, chains, 1) for _ in range(20))
            if found > best:
                best, self._loop, self._chains = found, loop, chains

    def measure(self, threads: int) -> float:
        """Return GFLOP/s (a multiply-add is two operations) with the given number of threads, which stays set."""
        set_threads(threads)
        return self._rate(self._loop, self._chains, threads)

    def _rate(self, loop: Any, chains: int, threads: int) -> float:
        seconds = seconds_of(lambda: loop(self._out, self._rounds, threads))
        return 2 * chains * LANES * self._rounds * threads / seconds / 1e9


def peak_memory() -> int | None:
    """Return the most memory that this process has had so far, in bytes (maximum resident set size).

    None where the system does not say (Windows).
    """
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def thread_counts(wanted: list[int] | None) -> list[int]:
    """Return the numbers of threads to measure; None takes 1, 2, 4, ... and all.

    Raises
    ------
    ArgumentError
        This process cannot have so many.
    """
    if wanted is None:
        available: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        return sorted({available, *(1 << i for i in range(available.bit_length()))})
    for threads in wanted:
        set_threads(threads)
    return sorted(set(wanted))
