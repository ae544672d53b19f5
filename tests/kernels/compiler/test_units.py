"""Kernels with one loop become functions of shares; others stay with Numba; each unit runs once, on any thread."""

from __future__ import annotations

import gc
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import prange
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import run_frontend

import cnntrain.kernels
from cnntrain.kernels.compiler.frontend import no_collection
from cnntrain.kernels.compiler.jit import kernel, parallel_kernel, shared
from cnntrain.kernels.compiler.units import only_loop
from cnntrain.kernels.compiler.versions import KNOWN

pytestmark = pytest.mark.skipif(not KNOWN, reason="this Numba is not known: kernels compile as it likes")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything compiles anew."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))


@shared
def half(x: Any) -> Any:
    return x // 2


@kernel
def clear(x: Any) -> Any:
    x[0] = 0
    return 4


def names_and_one_loop(x: Any, size: Any) -> Any:
    first, second = size
    count = half(first) + len(size) - second * 2
    for index in prange(max(count, 0)):
        i = np.intp(index)
        for j in range(i, i + 2):
            if j > 3:
                x[j] += x.dtype.type(i)


def two_loops(x: Any) -> Any:
    for index in prange(3):
        x[index] += 1
    for index in prange(3):
        x[index] += 1


def one_in_another(x: Any) -> Any:
    for i in prange(3):
        for j in prange(3):
            x[i] += j


def something_after(x: Any) -> Any:
    for index in prange(3):
        x[index] += 1
    x[0] = 5


def a_result(x: Any) -> Any:
    total = 0
    for index in prange(3):
        total += x[index]
    return total


def a_call_that_returns_nothing(x: Any) -> Any:
    clear(x)
    for index in prange(3):
        x[index] += 1


def a_call_that_may_do_more_than_it_returns(x: Any) -> Any:
    count = clear(x)
    for index in prange(count):
        x[index] += 1


def something_before(x: Any) -> Any:
    x[2] = 1
    for index in prange(3):
        x[index] += 1


def a_change_in_place(x: Any) -> Any:
    y = x
    y += 1
    for index in prange(3):
        x[index] += 1


def a_loop_before(x: Any) -> Any:
    n = 0
    for i in range(3):
        n += i
    for index in prange(n):
        x[index] += 1


def a_beginning(x: Any) -> Any:
    for index in prange(1, 3):
        x[index] += 1


def inside_a_loop(x: Any) -> Any:
    for _ in range(2):
        for index in prange(3):
            x[index] += 1


def no_loop(x: Any) -> Any:
    x[0] = 1


def is_of_shares(function: Callable[..., Any]) -> bool:
    return only_loop(run_frontend(function).blocks, [shared]) is not None


def test_names_and_one_loop_become_a_function_of_shares() -> None:
    assert is_of_shares(names_and_one_loop)


@pytest.mark.parametrize(
    "function",
    [
        two_loops, one_in_another, something_after, a_result, a_call_that_returns_nothing, something_before,
        a_call_that_may_do_more_than_it_returns, a_change_in_place, a_loop_before, a_beginning, inside_a_loop, no_loop,
    ],
)  # fmt: skip
def test_what_may_do_more_is_left_to_numba(function: Callable[..., Any]) -> None:
    assert not is_of_shares(function)


def test_the_kernels_of_the_package_are_functions_of_shares() -> None:
    """A new one that is not takes longer to compile: put what else it does into its units, or name it here."""
    left = set()
    for found in pkgutil.iter_modules(cnntrain.kernels.__path__, "cnntrain.kernels."):
        for value in vars(importlib.import_module(found.name)).values():
            if getattr(value, "targetoptions", {}).get("parallel") and not is_of_shares(value.py_func):
                left.add(value.py_func.__name__)
    assert left == {"bias_gradient"}


@pytest.fixture
def parfors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts that Numba makes of `prange`, by name."""
    names: list[str] = []
    begin = JITCodeLibrary.__init__

    def noted(library: Any, codegen: Any, name: str) -> None:
        names.extend([name] if "parfor" in name else [])
        begin(library, codegen, name)

    monkeypatch.setattr(JITCodeLibrary, "__init__", noted)
    return names


def test_each_unit_runs_once_with_any_number_of_threads(parfors: list[str]) -> None:
    @parallel_kernel
    def count(x: Any, units: Any) -> None:
        number = units + 0
        for index in prange(number):
            x[np.intp(index)] += 1

    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    before = numba.get_num_threads()
    try:
        for threads in {1, min(2, most), most}:
            numba.set_num_threads(threads)
            for units in (-3, 0, 1, 2, 3, 17):
                x = np.zeros(20, np.int64)
                count(x, units)
                np.testing.assert_array_equal(x, np.arange(20) < units, err_msg=f"{threads} threads, {units} units")
    finally:
        numba.set_num_threads(before)
    assert not parfors


def test_a_kernel_that_is_left_to_numba_computes_the_same(parfors: list[str]) -> None:
    after = parallel_kernel(something_after)
    x = np.zeros(3)
    after(x)
    assert x.tolist() == [5, 1, 1]
    assert parfors


def test_an_error_in_a_unit_reaches_python() -> None:
    @kernel
    def strict(x: Any, i: Any) -> Any:
        if x[i] > 1:
            raise ValueError("too large")
        return x[i]

    @parallel_kernel
    def run(x: Any, y: Any) -> None:
        for index in prange(4):
            y[np.intp(index)] = strict(x, np.intp(index))

    y = np.ones(4)
    run(np.zeros(4), y)
    assert not y.any()
    with pytest.raises(ValueError, match="too large"):
        run(np.array([0.0, 0, 0, 5]), y)


def test_array_expressions_and_closures_compile_as_ever() -> None:
    @kernel
    def unit(x: Any, y: Any, i: Any) -> None:
        def changed(value: Any) -> Any:
            return value + i

        y[2 * i], y[2 * i + 1] = changed(x[2 * i]), changed(x[2 * i + 1])

    @parallel_kernel
    def both(x: Any, y: Any) -> None:
        for index in prange(2):
            i = np.intp(index)
            x[2 * i : 2 * i + 2] = x[2 * i : 2 * i + 2] * 2 + x[2 * i : 2 * i + 2]
            unit(x, y, i)

    x, y = np.arange(4.0), np.zeros(4)
    both(x, y)
    assert y.tolist() == [0, 3, 7, 10]


def test_garbage_is_collected_again_after_an_error_too() -> None:
    assert gc.isenabled()
    with no_collection():
        assert not gc.isenabled()
        with no_collection():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="no kernel"), no_collection():
        raise ValueError("no kernel")
    assert gc.isenabled()
