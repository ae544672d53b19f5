"""The decorators of every kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba

from cnntrain.kernels.compiler.cache import LateKernelCache
from cnntrain.kernels.compiler.versions import KNOWN

FLOATING_POINT = {"contract"}  # fused multiply-add allowed; never nnan/ninf: a NaN must stay visible
_ALWAYS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": FLOATING_POINT,
    "nogil": True,
    "no_cfunc_wrapper": True,  # no C program calls kernels
}


def _njit(function: Callable[..., Any], **options: Any) -> Any:
    return numba.njit(**_ALWAYS, **options)(function)


def _part(function: Callable[..., Any], **options: Any) -> Any:
    compiled_with = partial(_njit, function, _nrt=False, **options)
    if not KNOWN:
        return compiled_with()
    from cnntrain.kernels.compiler.whole import part

    return part(function, compiled_with)


def _whole(function: Callable[..., Any]) -> Any:
    if not KNOWN:
        return _njit(function, parallel=True)
    from cnntrain.kernels.compiler.whole import WholeCompiler

    return _njit(function, parallel=True, pipeline_class=WholeCompiler)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a serial loop that parallel kernels call; not cached on its own, it is part of its callers.

    It neither makes nor keeps arrays, so Numba need not count references to them: around branches the atomic counting
    of an inner loop's arguments took up to a third of its time.
    """
    return _part(function)


def inlined_kernel(function: Callable[..., Any]) -> Any:
    """Compile a `kernel` whose body LLVM must copy into its callers, where it is called so often that calls count."""
    return _part(function, forceinline=True)


def parallel_kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel that Python calls, with `prange` loops over units that own what they write; cached.

    Where no folder for the cache can be written, every process compiles for itself.
    """
    dispatcher = _whole(function)
    # Numba offers no public way to choose the cache; the attribute has had this name since 0.20.
    dispatcher._cache = LateKernelCache(function)
    return dispatcher
