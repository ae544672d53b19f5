"""`@elementwise`: a function of lane vectors becomes a kernel that applies it to whole arrays.

    @elementwise
    def square_backward(g, x):
        return g * (x + x)

is called as square_backward(grad_output, x, grad_input, size): the arrays that it reads, the array that it writes
(which may be one of these), and how many numbers, a multiple of 16. Arrays are flat.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.lanes import load, store
from cnntrain.kernels.work import UNITS, span
from cnntrain.shape import LANES


def elementwise(function: Callable[..., Any] | None = None, *, numbers: int = 0) -> Any:
    """Make a kernel of a function of one or two lane vectors.

    Parameters
    ----------
    function : callable
        Takes lane vectors, and then numbers that are the same for all elements; returns a lane vector.
    numbers : int
        How many of the latter; the kernel takes them after the size.
    """
    if function is None:
        return lambda decorated: elementwise(decorated, numbers=numbers)
    arrays = function.__code__.co_argcount - numbers
    return parallel_kernel(_driver(function, (_of_one, _of_two)[arrays - 1]))


def _driver(function: Callable[..., Any], loop: Callable[..., Any]) -> FunctionType:
    """Return a loop's function with `function` in it, at the place of `function`: there its machine code is kept."""
    code, at = loop.__code__, function.__code__
    code = code.replace(co_name=at.co_name, co_filename=at.co_filename, co_firstlineno=at.co_firstlineno)
    driver = FunctionType(code, {**loop.__globals__, "operation": kernel(function)}, function.__name__)
    driver.__module__, driver.__qualname__ = function.__module__, function.__qualname__
    driver.__doc__ = function.__doc__
    return driver


def operation(*vectors_and_numbers: Any) -> Any:
    """Stand for the decorated function in the loops below."""


def _of_one(x, y, size, *numbers):
    for index in prange(UNITS):
        begin, end = span(np.intp(index), size)
        for i in range(begin, end, LANES):
            store(y, i, operation(load(x, i), *numbers))


def _of_two(a, b, y, size, *numbers):
    for index in prange(UNITS):
        begin, end = span(np.intp(index), size)
        for i in range(begin, end, LANES):
            store(y, i, operation(load(a, i), load(b, i), *numbers))
