"""Kernels that check every address: `CNNTRAIN_CHECKED=1`.

Each load and store of such a kernel compares its place with the array's size. A wrong one is reported and done
elsewhere, so that the kernel runs to its end; then the call raises `AddressError`, which names kernel and array.
Checked kernels are several times slower, and have a cache of their own.
"""

from __future__ import annotations

import ctypes
import inspect
import operator
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.np import arrayobj

CHECKED = os.environ.get("CNNTRAIN_CHECKED", "") not in ("", "0")
_REPORT = "cnntrain_outside"  # the function that checked kernels call, by its name in LLVM
_ELSEWHERE = 4096  # bytes for what is read or written outside


class AddressError(IndexError):
    """A kernel read or wrote outside one of its arrays."""


@dataclass(frozen=True, order=True)
class _Access:
    """An access outside an array: where the array begins, its size, and which numbers were meant."""

    data: int
    size: int
    first: int
    number: int


_outside: list[_Access] = []


@ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
def _report(data: int, size: int, first: int, number: int) -> None:
    _outside.append(_Access(data, size, first, number))


def checked_address(builder: Any, data: Any, size: Any, offset: Any, number: int) -> Any:
    """Point to data[offset], or, where data[offset : offset + number] is not all inside, report it and point elsewhere.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    data : LLVM pointer
        To the first number.
    size, offset : LLVM int64
    number : int
        How many numbers are read or written.
    """
    end = builder.add(offset, ir.Constant(offset.type, number))
    inside = builder.and_(
        builder.icmp_signed(">=", offset, ir.Constant(offset.type, 0)), builder.icmp_signed("<=", end, size)
    )
    with builder.if_then(builder.not_(inside), likely=False):
        whole = ir.IntType(64)
        report = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [whole] * 4), _REPORT
        )  # fmt: skip
        builder.call(report, [builder.ptrtoint(data, whole), size, offset, ir.Constant(whole, number)])
    return builder.select(inside, builder.gep(data, [offset]), builder.bitcast(_elsewhere(builder), data.type))


def _elsewhere(builder: Any) -> Any:
    name = "cnntrain_elsewhere"
    if name in builder.module.globals:
        return builder.module.globals[name]
    room = ir.ArrayType(ir.IntType(8), _ELSEWHERE)
    variable = ir.GlobalVariable(builder.module, room, name)
    variable.linkage, variable.initializer, variable.align = "internal", ir.Constant(room, None), 64
    return variable


def _install() -> None:
    """Let checked code find `_report`, and check numbers that kernels read or write one by one."""
    binding.add_symbol(_REPORT, ctypes.cast(_report, ctypes.c_void_p).value)

    def place(context: Any, builder: Any, kind: Any, array: Any, index_kind: Any, index: Any) -> Any:
        parts = cgutils.create_struct_proxy(kind)(context, builder, value=array)
        if index_kind.bitwidth < 64:
            extend = builder.sext if index_kind.signed else builder.zext
            index = extend(index, ir.IntType(64))
        if index_kind.signed:  # of a negative one Numba counts from the end
            negative = builder.icmp_signed("<", index, ir.Constant(index.type, 0))
            index = builder.select(negative, builder.add(index, parts.nitems), index)
        return checked_address(builder, parts.data, parts.nitems, index, 1)

    @lower_builtin(operator.getitem, types.Array, types.Integer)
    def getitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind, index = sig.args
        if kind.ndim != 1:
            return arrayobj.getitem_arraynd_intp(context, builder, sig, args)
        return arrayobj.load_item(context, builder, kind, place(context, builder, kind, args[0], index, args[1]))

    @lower_builtin(operator.setitem, types.Array, types.Integer, types.Any)
    def setitem(context: Any, builder: Any, sig: Any, args: Any) -> None:
        kind, index, value = sig.args
        if kind.ndim != 1:
            return arrayobj.setitem_array(context, builder, sig, args)
        number = context.cast(builder, args[2], value, kind.dtype)
        return arrayobj.store_item(
            context, builder, kind, number, place(context, builder, kind, args[0], index, args[1])
        )


class _Watched:
    """A parallel kernel whose calls raise `AddressError`."""

    def __init__(self, dispatcher: Any) -> None:
        self._dispatcher, self.__doc__ = dispatcher, dispatcher.__doc__
        self._names = tuple(inspect.signature(dispatcher.py_func).parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dispatcher, name)

    def __call__(self, *arguments: Any) -> Any:
        """Run the kernel; raises `AddressError` where it went outside an array."""
        _outside.clear()
        result = self._dispatcher(*arguments)
        if _outside:
            arrays = dict(_arrays(arguments, self._names))
            lines = dict.fromkeys(_line(access, arrays) for access in sorted(_outside))
            _outside.clear()
            raise AddressError(f"kernel {self._dispatcher.py_func.__name__}: " + "; ".join(list(lines)[:5]))
        return result


def _line(access: _Access, arrays: dict[tuple[int, int], str]) -> str:
    name = arrays.get((access.data, access.size), "an array that is no argument")
    return f"{name}[{access.first}:{access.first + access.number}] of {access.size} numbers"


def _arrays(arguments: Any, names: Any) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield ((address, size), name) of all arrays in a call, also of those in tuples."""
    for position, value in enumerate(arguments):
        name = names[position] if position < len(names) else f"{names[-1]}[{position - len(names) + 1}]"
        if isinstance(value, np.ndarray):
            yield (value.ctypes.data, value.size), name
        elif isinstance(value, tuple):
            fields = getattr(type(value), "_fields", range(len(value)))
            yield from _arrays(value, [f"{name}.{field}" for field in fields])


def watched(dispatcher: Any) -> Any:
    """Return a parallel kernel that raises `AddressError`."""
    return _Watched(dispatcher)


if CHECKED:
    _install()
