"""`@elementwise`: a function of lane vectors becomes a kernel that applies it to whole arrays.

    @elementwise
    def square_backward(g, x):
        return g * (x + x)

is called as square_backward(grad_output, x, grad_input, size): the arrays that it reads, the array that it writes
(which may be one of these), and how many numbers, a multiple of 16. Arrays are flat.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, parallel_kernel
from cnntrain.kernels.lanes import load, store
from cnntrain.kernels.work import UNITS, span
from cnntrain.shape import LANES

# Written out with the parameters of each function: a loop that takes any number of them compiles 8 ms longer.
_LOOP = """
def loop({arrays}, result, size{numbers}):
    for index in prange(UNITS):
        begin, end = span(np.intp(index), size)
        for i in range(begin, end, LANES):
            store(result, i, operation({vectors}{numbers}))
"""
_NAMES = {"np": np, "prange": prange, "UNITS": UNITS, "LANES": LANES, "span": span, "load": load, "store": store}


def elementwise(function: Callable[..., Any] | None = None, *, numbers: int = 0) -> Any:
    """Make a kernel of a function of lane vectors.

    Parameters
    ----------
    function : callable
        Takes lane vectors, and then numbers that are the same for all elements; returns a lane vector. The parameters
        have other names than the loop's variables: result, size, index, begin, end, i.
    numbers : int
        How many of the latter; the kernel takes them after the size.
    """
    if function is None:
        return lambda decorated: elementwise(decorated, numbers=numbers)
    names = list(inspect.signature(function).parameters)
    return parallel_kernel(_driver(function, names[: len(names) - numbers], names[len(names) - numbers :]))


def _driver(function: Callable[..., Any], arrays: list[str], numbers: list[str]) -> FunctionType:
    """Return the loop with `function` in it, at the place of `function`: there its machine code is kept."""
    text = _LOOP.format(
        arrays=", ".join(arrays),
        vectors=", ".join(f"load({array}, i)" for array in arrays),
        numbers="".join(f", {number}" for number in numbers),
    )
    at = function.__code__
    code = next(part for part in compile(text, at.co_filename, "exec").co_consts if isinstance(part, CodeType))
    code = code.replace(co_name=at.co_name, co_firstlineno=at.co_firstlineno)
    driver = FunctionType(code, _NAMES | {"operation": inlined_kernel(function)}, function.__name__)
    driver.__module__, driver.__qualname__ = function.__module__, function.__qualname__
    driver.__doc__ = function.__doc__
    return driver
