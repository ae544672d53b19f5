"""The two decorators of every kernel, and a cache that is never stale.

Numba keys its cache by the file of the compiled function alone, although machine code depends on every kernel file it
inlines from. Here the key covers the sources of the whole kernel package (`kernels/*.py`), and for a kernel outside it
(in a file of the user's own layers) that file too: editing any of them, or installing another version, recompiles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

FLOATING_POINT = {"contract"}  # fused multiply-add allowed; never nnan/ninf: a NaN must stay visible


@cache
def source_stamp() -> str:
    """SHA-256 over all kernel files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _stamp_for(file: Path) -> str:
    if file.resolve().parent == Path(__file__).resolve().parent:
        return source_stamp()
    return source_stamp() + hashlib.sha256(file.read_bytes()).hexdigest()


def _with_whole_package_stamp(dispatcher: Any) -> Any:
    # Numba offers no public way to choose the stamp; the attribute has had this name since 0.20.
    dispatcher._cache._cache_file._source_stamp = _stamp_for(Path(dispatcher.py_func.__code__.co_filename))
    return dispatcher


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a serial loop that parallel kernels call; not cached on its own, it is part of its callers."""
    return numba.njit(error_model="numpy", fastmath=FLOATING_POINT, nogil=True)(function)


def parallel_kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel that Python calls, with `prange` loops over units that own what they write; cached."""
    return _with_whole_package_stamp(
        numba.njit(parallel=True, cache=True, error_model="numpy", fastmath=FLOATING_POINT, nogil=True)(function)
    )
