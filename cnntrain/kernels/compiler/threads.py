"""How many threads the kernels use, and on what they run."""

from __future__ import annotations

import os

import numba

from cnntrain.errors import ArgumentError

_chosen: list[int] = []  # the number that somebody asked for, if anybody did


def possible_threads() -> list[int]:
    """Return the numbers of threads to choose from, the largest first; one, if somebody asked for a number."""
    if _chosen:
        return list(_chosen)
    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    return sorted({most, max(most // 2, 1), 1}, reverse=True)


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
    _chosen[:] = [threads]
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
    slow = "are slow: small networks train at a fraction of their speed."
    variable = _that_chose_workqueue()
    if variable is not None:
        return f"the 'workqueue' threads that {variable}={os.environ[variable]} chose {slow} Unset it"
    return (
        f"Numba found neither OpenMP nor TBB, and its 'workqueue' threads {slow} "
        "Install OpenMP (Debian, Ubuntu: apt install libgomp1) or TBB (pip install tbb)"
    )


def _that_chose_workqueue() -> str | None:
    if os.environ.get("NUMBA_THREADING_LAYER", "").lower() in ("workqueue", "forksafe"):
        return "NUMBA_THREADING_LAYER"
    order = os.environ.get("NUMBA_THREADING_LAYER_PRIORITY", "omp workqueue").split()
    return None if order.index("omp") < order.index("workqueue") else "NUMBA_THREADING_LAYER_PRIORITY"
