"""What may be given in the place of a batch of arrays: lists, whole numbers, one image, one filter, one number.

Lists, whole numbers and Python's numbers take the type of the float arrays beside them; without any, they are float64.
Axes that were not given are not in the result either: `Form` remembers which.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError
from cnntrain.functional.arrays import FLOATS, same_shape
from cnntrain.printable import printable

WHOLE = {"float32": 2**24, "float64": 2**53}  # up to here every whole number is one of that type
DEEPEST = 8  # lists in lists: more is no array, and a list may hold itself


class Form(NamedTuple):
    """Which leading axes an argument came without."""

    given: tuple[int, ...]  # the shape as it came
    missing: tuple[int, ...]  # axes that were put before, each of size 1


def numbers(**arguments: Any) -> list[NDArray]:
    """Return arguments as float arrays of one type, in their order.

    Raises
    ------
    ArgumentError
        When one holds something else than numbers, rows differ in length, or float arrays differ in type.
    """
    arrays = {name: array_of(name, value) for name, value in arguments.items()}
    typed = [array.dtype for name, array in arrays.items() if _decides(arguments[name], array)]
    dtype = typed[0] if typed else np.dtype(np.float64)
    return [_converted(name, arguments[name], array, dtype) for name, array in arrays.items()]


def whole_numbers(name: str, value: Any) -> NDArray[np.int64]:
    """Return labels or a mask as int64; raises `ArgumentError` for anything but whole numbers."""
    array = array_of(name, value)
    if array.dtype.kind not in "iu":
        raise ArgumentError(f"{name} must be whole numbers; received {_kind(value, array)}")
    if array.size and array.dtype.kind == "u" and int(array.max()) > np.iinfo(np.int64).max:
        raise ArgumentError(f"{name} must be below 2**63; received {int(array.max())}")
    return array.astype(np.int64)


def array_of(name: str, value: Any) -> NDArray:
    """Return an array of whatever may be one; raises `ArgumentError` for other things, and for ragged lists."""
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, list | tuple | int | float | np.number) or isinstance(value, bool):
        raise ArgumentError(f"{name} must be a NumPy array, a list or a number; received {type(value).__name__}")
    _check_rows(name, value)
    try:
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise ArgumentError(f"{name} must be an array of numbers; NumPy says: {printable(str(error))}") from error


def with_axes(name: str, array: NDArray, *forms: str) -> tuple[NDArray, Form]:
    """Return an array with all the axes of the first form, and what it came as.

    `forms` are the axes that it may have, the most of them first: "images, inputs", "inputs".
    """
    counts = [len(form.split(", ")) for form in forms]
    if array.ndim not in counts:
        allowed = " or ".join(f"({form})" for form in forms)
        raise ArgumentError(f"{name} must have the axes {allowed}; received shape {array.shape}")
    if array.size == 0:
        raise ArgumentError(f"{name} must not be empty; received shape {array.shape}")
    missing = counts[0] - array.ndim
    return array.reshape((1,) * missing + array.shape), Form(array.shape, tuple(range(missing)))


def images_of(name: str, array: NDArray) -> tuple[NDArray, Form]:
    """Return (images, channels, rows, columns) of a batch, of one image, or of one image with one channel."""
    return with_axes(name, array, "images, channels, rows, columns", "channels, rows, columns", "rows, columns")


def bias_of(bias: NDArray, count: int, owner: str) -> NDArray:
    """Return (count,) biases; one number is the bias of the one filter or unit."""
    array = bias.reshape(1) if bias.ndim == 0 and count == 1 else bias
    return same_shape("bias", array, (count,), f"one for each {owner}")


def without(array: NDArray, *missing: int) -> NDArray:
    """Return an array without these axes, each of size 1; one number if none is left."""
    result: NDArray = array[tuple(0 if axis in missing else slice(None) for axis in range(array.ndim))]
    return result


def _check_rows(name: str, value: Any, depth: int = 0) -> None:
    """Raise `ArgumentError` where lists side by side differ in length, and say where."""
    if not isinstance(value, list | tuple):
        return
    if depth >= DEEPEST:
        raise ArgumentError(
            f"{name.partition('[')[0]} must have at most {DEEPEST} axes; received lists within lists without end"
        )
    lengths = [_length(each) for each in value]
    for at, length in enumerate(lengths):
        if length != lengths[0]:
            raise ArgumentError(
                f"{name} must have rows of one length; received {_row(0, lengths[0])}, {_row(at, length)}"
            )
    for at, each in enumerate(value):
        _check_rows(f"{name}[{at}]", each, depth + 1)


def _length(value: Any) -> int | None:
    is_row = isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)
    return len(value) if is_row else None


def _row(at: int, length: int | None) -> str:
    return f"[{at}] with {length} entries" if length is not None else f"[{at}] that is no row"


def _decides(value: Any, array: NDArray) -> bool:
    """Tell whether an argument says the type to compute in: float arrays and NumPy's float numbers do."""
    return isinstance(value, np.ndarray | np.generic) and array.dtype.kind not in "iu"


def _converted(name: str, value: Any, array: NDArray, dtype: np.dtype) -> NDArray:
    typed = _decides(value, array)
    if typed and array.dtype not in FLOATS:
        raise ArgumentError(f"{name} must be float32 or float64; received {array.dtype}: convert it with .astype()")
    if typed and array.dtype != dtype:
        raise ArgumentError(f"{name} must be {dtype} like the other arrays; received {array.dtype}")
    if array.dtype.kind not in "iuf":
        raise ArgumentError(f"{name} must be numbers, float32 or float64; received {_kind(value, array)}")
    if array.size and array.dtype.kind in "iu":
        largest = max(int(array.max()), -int(array.min()))
        if largest > WHOLE[dtype.name]:
            raise ArgumentError(
                f"{name} holds whole numbers up to {largest}; {dtype} is exact up to {WHOLE[dtype.name]}"
            )
    with np.errstate(over="ignore"):
        converted: NDArray = array.astype(dtype, copy=False)
    if not typed and array.dtype.kind == "f" and np.isinf(converted).any() and not np.isinf(array).any():
        raise ArgumentError(f"{name} holds numbers that {dtype} cannot hold; received up to {np.abs(array).max()}")
    return converted


def _kind(value: Any, array: NDArray) -> str:
    """Say what an array holds: in words where it was made of a list."""
    words = {"U": "words", "S": "bytes", "O": "objects", "b": "booleans"}
    return str(array.dtype) if isinstance(value, np.ndarray) else words.get(array.dtype.kind, str(array.dtype))
