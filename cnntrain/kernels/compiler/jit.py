"""The decorators of every kernel.

`@parallel_kernel`  what Python calls: `prange` loops over units that own what they write; cached on the disk
`@kernel`           a serial loop that parallel kernels call
`@inlined_kernel`   one that LLVM must copy into its callers
`@outer_kernel`     one that is little but a loop around others
`@shared`           arithmetic of whole numbers, the same inside kernels and in Python
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

import numba
from numba import types
from numba.core.imputils import lower_constant
from numba.core.registry import CPUDispatcher
from numba.extending import models, register_model

from cnntrain.kernels.compiler import checked, environment, forks
from cnntrain.kernels.compiler.cache import LateKernelCache
from cnntrain.kernels.compiler.versions import KNOWN

environment.check_machine()

FLOATING_POINT = {"contract"}  # fused multiply-add allowed; never nnan/ninf: a NaN must stay visible
_ALWAYS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": FLOATING_POINT,
    "nogil": True,
    "no_cfunc_wrapper": True,  # no C program calls kernels
}


class _Kernel(types.Dispatcher):
    """The type of a serial kernel, which other kernels may take as an argument: `work.each_tile`.

    Numba takes functions as arguments, but of each it keeps the address of a Python object in the machine code, which
    can then not be kept on the disk. Nothing needs that address.
    """


register_model(_Kernel)(models.OpaqueModel)


@lower_constant(_Kernel)
def _no_address(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    return context.get_dummy_value()


class _KernelDispatcher(CPUDispatcher):
    @property
    def _numba_type_(self) -> _Kernel:
        return _Kernel(self)


def _njit(function: Callable[..., Any], **options: Any) -> Any:
    return numba.njit(**_ALWAYS, **options)(function)


def _part(function: Callable[..., Any], *, plain: bool = False, **options: Any) -> Any:
    compiled_with = partial(_njit, function, _nrt=False, **options)
    if KNOWN:
        from cnntrain.kernels.compiler.whole import part

        dispatcher = part(function, compiled_with, plain=plain)
    else:
        dispatcher = compiled_with()
    dispatcher.__class__ = _KernelDispatcher
    return dispatcher


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
    return _part(function, plain=True, forceinline=True)


def outer_kernel(function: Callable[..., Any]) -> Any:
    """Compile a `kernel` that is little but a loop around others: as good, and sooner done.

    LLVM optimises it in the parallel kernel alone, not before that by itself, with all that it calls once more.
    """
    return _part(function, plain=True)


class shared:  # noqa: N801 - a decorator
    """Arithmetic of whole numbers for both sides: compiled where a kernel calls it, plain Python where Python does.

    What a kernel and the pass that calls it must agree on (sizes and strides of scratch memory) is written once.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self._function = function
        self._compiled = kernel(function)

    def __call__(self, *arguments: Any) -> Any:
        """Compute it in Python."""
        return self._function(*arguments)

    @property
    def _numba_type_(self) -> Any:  # what Numba asks a global for
        return self._compiled._numba_type_


if KNOWN:
    from cnntrain.kernels.compiler import whole

    whole.arithmetic.append(shared)


def parallel_kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel that Python calls, with `prange` loops over units that own what they write; cached.

    Where no folder for the cache can be used, every process compiles for itself. With CNNTRAIN_CHECKED=1 a call
    that read or wrote outside an array raises `AddressError`. In a process that was forked after kernels had run, where
    OpenMP would end the process, it raises `ForkError`.
    """
    dispatcher = _whole(function)
    # Numba offers no public way to choose the cache; the attribute has had this name since 0.20.
    dispatcher._cache = LateKernelCache(function)
    forks.watch(dispatcher)
    return checked.watched(dispatcher) if checked.CHECKED else dispatcher
