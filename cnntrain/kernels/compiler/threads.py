"""How many threads the kernels use, and on what they run."""

from __future__ import annotations

import numba

from cnntrain.errors import ArgumentError


def set_threads(threads: int | None) -> int:
    """Set the number of threads of all kernels and return it; None keeps what Numba chose (all cores of the process).

    Results do not depend on it. Raises `ArgumentError` if the machine has fewer.
    """
    available: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    if threads is None:
        return numba.get_num_threads()
    if not 1 <= threads <= available:
        raise ArgumentError(
            f"--threads {threads}: must be 1 to {available}, the cores that this process may use "
            "(the environment variable NUMBA_NUM_THREADS sets another limit)"
        )
    numba.set_num_threads(threads)
    return threads


def threading_layer() -> str:
    """Return the library that runs parallel kernels ("omp", "tbb", "workqueue"); known once one has run."""
    try:
        layer: str = numba.threading_layer()  # type: ignore[attr-defined]
    except ValueError:  # nothing parallel has run yet
        return "unknown"
    return layer


def threading_layer_warning(layer: str) -> str | None:
    """Say what to do about a slow threading layer; None if it is a good one."""
    if layer != "workqueue":
        return None
    return (
        "Numba found neither OpenMP nor TBB and uses its slow 'workqueue' threads: small networks train at a fraction "
        "of their speed. Install OpenMP (Debian, Ubuntu: apt install libgomp1) or TBB (pip install tbb)"
    )
