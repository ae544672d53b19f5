"""Checks of arguments, and the way between NCHW arrays and the batch-lane layout."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError
from cnntrain.kernels.layout import from_lanes, to_lanes
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.shape import LANES

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def same_shape(name: str, array: NDArray, shape: tuple[int, ...], why: str) -> NDArray:
    """Return `array` if it has the given shape."""
    if array.shape != shape:
        raise ArgumentError(f"{name} must have shape {shape} ({why}); received {array.shape}")
    return array


def pair(name: str, value: Any, lowest: int) -> tuple[int, int]:
    """Return (rows, columns) from one whole number or a pair of them."""
    values = tuple(value) if isinstance(value, tuple | list | np.ndarray) and np.ndim(value) else (value, value)
    if len(values) != 2 or any(isinstance(v, bool | np.bool_) or not isinstance(v, int | np.integer) for v in values):
        raise ArgumentError(f"{name} must be a whole number or a pair (rows, columns); received {value!r}")
    if min(values) < lowest:
        raise ArgumentError(f"{name} must be at least {lowest}; received {value!r}")
    return int(values[0]), int(values[1])


def whole(name: str, value: Any, lowest: int) -> int:
    """Return `value` if it is a whole number and at least `lowest`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ArgumentError(f"{name} must be a whole number; received {value!r}")
    if value < lowest:
        raise ArgumentError(f"{name} must be at least {lowest}; received {value}")
    return int(value)


def block_count(images: int) -> int:
    """Blocks of 16 images that hold `images`."""
    return -(-images // LANES)


def room(images: int, size: int, dtype: np.dtype) -> NDArray:
    """Return a flat array for `images` images of `size` values each in the batch-lane layout."""
    return line_aligned(this_machine().capacity(images, dtype) * size * LANES, dtype)


def enter(array: NDArray) -> NDArray:
    """Copy (n, c, rows, columns) to a flat array in the layout (block, row, column, channel, lane)."""
    n, channels, rows, columns = array.shape
    lanes = room(n, channels * rows * columns, array.dtype)
    one, zero = np.ones(channels, array.dtype), np.zeros(channels, array.dtype)
    indices = np.arange(n, dtype=np.int64)
    to_lanes(flat(array), indices, one, zero, lanes, channels, rows, columns)
    return lanes


def leave(lanes: NDArray, shape: tuple[int, int, int, int]) -> NDArray:
    """Copy back what `enter` made, or a result in that layout, to an array of `shape`."""
    images = np.empty(shape, lanes.dtype)
    from_lanes(lanes, images.reshape(-1), *shape)
    return images


def flat(array: NDArray) -> NDArray:
    """Return a C-contiguous flat copy or view."""
    return np.ascontiguousarray(array).reshape(-1)
