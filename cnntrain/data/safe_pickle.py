"""A reader for pickles that hold nothing but arrays and plain values: nothing is imported, called or built by them.

Python's unpickler runs a program: pickles from strangers may execute anything. This one knows the few instructions that
arrays, bytes, text, whole numbers, lists and dictionaries need, and treats the names of NumPy's constructors as mere
words. Memory stays within a small multiple of the file's size: lengths are compared with the bytes that are there,
nothing is allocated on an announcement's word, and there is no instruction that multiplies data.

Instructions: Python's `pickletools`, protocols 0 to 5. NumPy's forms: `numpy.core.multiarray._reconstruct` with a state
(version, shape, dtype, Fortran order, bytes), and `numpy.core.numeric._frombuffer` (protocol 5).
"""

from __future__ import annotations

import math
import pickletools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

_MARK = object()
_TYPES: dict[str, np.dtype] = {"u1": np.dtype(np.uint8), "i8": np.dtype("<i8"), "i4": np.dtype("<i4")}


class UnsafePickleError(Exception):
    """The pickle is damaged or asks for something that is not allowed; the message says what."""


class _Word:
    """The name of a constructor; it stands for nothing but itself."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Type:
    """A NumPy dtype to be."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Array:
    """A NumPy array to be; `value` once its state has come."""

    value: np.ndarray | None = None


_ALLOWED = {
    f"{module} {name}": _Word(name)
    for modules, name in (
        (("numpy.core.multiarray", "numpy._core.multiarray"), "_reconstruct"),
        (("numpy.core.numeric", "numpy._core.numeric"), "_frombuffer"),
        (("numpy",), "ndarray"),
        (("numpy",), "dtype"),
        (("_codecs",), "encode"),
        (("__builtin__", "builtins"), "bytes"),  # how protocols 0 to 2 write empty bytes
    )
    for module in modules
}


def read_pickle(content: bytes) -> Any:
    """Return what a pickle holds: arrays (uint8, int32, int64), bytes, str, int, bool, None, lists, tuples, dicts.

    Raises
    ------
    UnsafePickleError
        Anything else: other types, classes, functions, damage.
    """
    machine = _Machine()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's, of odd escapes in names
            for opcode, argument, position in pickletools.genops(content):
                machine.position = position
                if opcode.name == "STOP":
                    return machine.result()
                machine.step(opcode.name, argument)
    except UnsafePickleError:
        raise
    except (ValueError, IndexError, TypeError, KeyError, OverflowError, UnicodeError, EOFError) as error:
        raise UnsafePickleError(f"damaged near byte {machine.position} ({error or type(error).__name__})") from None
    raise UnsafePickleError("truncated")


class _Machine:
    """The stack and the memory of one reading."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self.position: int | None = 0

    def result(self) -> Any:
        if len(self._stack) != 1:
            raise self._refused("ends with other than one value")
        return _finished(self._stack[0])

    def step(self, name: str, argument: Any) -> None:
        """Execute one instruction."""
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]() if callable(_CONSTANTS[name]) else _CONSTANTS[name])
        elif name in _LITERALS:
            # protocol 0 to 2 text of Python 2 stands for bytes
            self._stack.append(argument.encode("latin-1") if name.endswith("STRING") else argument)
        elif name in _OTHERS:
            _OTHERS[name](self, argument)
        else:
            raise self._refused(f"instruction {name}")

    def _refused(self, what: str) -> UnsafePickleError:
        return UnsafePickleError(f"refused at byte {self.position}: {what}")

    def _pop_to_mark(self) -> list[Any]:
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at] is _MARK:
                items = self._stack[at + 1 :]
                del self._stack[at:]
                return items
        raise self._refused("no mark on the stack")

    def _nothing(self, _: Any) -> None:
        """PROTO and FRAME say nothing that matters here."""

    def _pop(self, _: Any) -> None:
        self._stack.pop()

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def _tuple_of(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        if len(items) < count:
            raise self._refused("the stack is empty")
        self._stack[-count:] = [items]

    def _list(self, _: Any) -> None:
        self._stack.append(self._pop_to_mark())

    def _dict(self, _: Any) -> None:
        items = self._pop_to_mark()
        self._stack.append({})
        self._set(items)

    def _append(self, _: Any) -> None:
        item = self._stack.pop()
        self._target(list).append(item)

    def _appends(self, _: Any) -> None:
        items = self._pop_to_mark()
        self._target(list).extend(items)

    def _setitem(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def _setitems(self, _: Any) -> None:
        self._set(self._pop_to_mark())

    def _set(self, items: list[Any]) -> None:
        target = self._target(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, bytes | str | int):  # hashing nested tuples can take for ever
                raise self._refused(f"a key of type {type(key).__name__}")
            target[key] = value

    def _target(self, kind: type) -> Any:
        if type(self._stack[-1]) is not kind:
            raise self._refused(f"no {kind.__name__} to put something into")
        return self._stack[-1]

    def _global(self, name: str) -> None:
        if name not in _ALLOWED:
            raise self._refused(f"it names {name.replace(' ', '.')!r}, but may hold arrays and plain values only")
        self._stack.append(_ALLOWED[name])

    def _stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise self._refused("a name that is no text")
        self._global(f"{module} {name}")

    def _reduce(self, _: Any) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, _Word) or not isinstance(arguments, tuple):
            raise self._refused("a call")
        if function.name == "_reconstruct":
            self._stack.append(_Array())
        elif function.name == "dtype":
            self._stack.append(_Type(_text(arguments[0])))
        elif function.name == "encode" and isinstance(arguments[0], str) and arguments[1:] == ("latin1",):
            self._stack.append(arguments[0].encode("latin-1"))
        elif function.name == "bytes" and not arguments:
            self._stack.append(b"")
        elif function.name == "_frombuffer":
            content, kind, shape, order = arguments
            self._stack.append(self._array(shape, kind, order != "C", content))
        else:
            raise self._refused(f"a call of {function.name}")

    def _build(self, _: Any) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, _Array) and target.value is None:
            _, shape, kind, fortran, content = state
            target.value = self._array(shape, kind, fortran, content).value
        elif not isinstance(target, _Type):  # a dtype's state: byte order and the like, which its name has said
            raise self._refused("a state for something that has none")

    def _array(self, shape: Any, kind: Any, fortran: Any, content: Any) -> _Array:
        if not isinstance(kind, _Type) or kind.name not in _TYPES:
            raise self._refused(f"an array of type {getattr(kind, 'name', type(kind).__name__)}")
        if not isinstance(content, bytes | bytearray) or not isinstance(shape, tuple):
            raise self._refused("an array without bytes")
        dtype = _TYPES[kind.name]
        if not all(type(length) is int and length >= 0 for length in shape) or len(shape) > 4:
            raise self._refused("an array of strange shape")
        if math.prod(shape) * dtype.itemsize != len(content):
            raise self._refused(f"an array of shape {shape} and type {kind.name} in {len(content)} bytes")
        array = _Array()
        array.value = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
        return array


_CONSTANTS: dict[str, Any] = {
    "MARK": _MARK, "NONE": None, "NEWTRUE": True, "NEWFALSE": False,
    "EMPTY_TUPLE": (), "EMPTY_LIST": list, "EMPTY_DICT": dict,
}  # fmt: skip
_LITERALS = {
    "INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "LONG4",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
}  # fmt: skip
_OTHERS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine._nothing, "FRAME": _Machine._nothing, "POP": _Machine._pop,
    "PUT": _Machine._put, "BINPUT": _Machine._put, "LONG_BINPUT": _Machine._put, "MEMOIZE": _Machine._memoize,
    "GET": _Machine._get, "BINGET": _Machine._get, "LONG_BINGET": _Machine._get,
    "TUPLE": _Machine._tuple, "LIST": _Machine._list, "DICT": _Machine._dict,
    "TUPLE1": lambda machine, _: machine._tuple_of(1),
    "TUPLE2": lambda machine, _: machine._tuple_of(2),
    "TUPLE3": lambda machine, _: machine._tuple_of(3),
    "APPEND": _Machine._append, "APPENDS": _Machine._appends,
    "SETITEM": _Machine._setitem, "SETITEMS": _Machine._setitems,
    "GLOBAL": _Machine._global, "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._reduce, "BUILD": _Machine._build,
}  # fmt: skip


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value) if isinstance(value, str) else "?"


def _finished(value: Any) -> Any:
    """Replace arrays to be by arrays, in the value itself and in the values of a dictionary or list."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        if value.value is None:
            raise UnsafePickleError("damaged: an array without content")
        return value.value
    if isinstance(value, _Word | _Type) or value is _MARK:
        raise UnsafePickleError("damaged: it ends with half a value")
    return value
