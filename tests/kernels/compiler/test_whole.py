"""Kernels compile once, as a whole, and serial kernels can be called all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import prange
from numba.core.codegen import JITCodeLibrary

from cnntrain.kernels.compiler import jit
from cnntrain.kernels.compiler.jit import inlined_kernel, kernel, parallel_kernel
from cnntrain.kernels.compiler.versions import KNOWN

pytestmark = pytest.mark.skipif(not KNOWN, reason="this Numba is not known: kernels compile as it likes")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything compiles anew."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the functions of this file that became machine code by themselves."""
    names: list[str] = []
    emit = JITCodeLibrary._finalize_specific

    def noted(library: Any) -> None:
        names.append(library.name.rpartition(".")[2])
        emit(library)

    monkeypatch.setattr(JITCodeLibrary, "_finalize_specific", noted)
    return names


def sample() -> tuple[Any, Any, Any]:
    @inlined_kernel
    def innermost(x: Any, i: Any) -> Any:
        return x[i] * x[i] + i

    @kernel
    def unit(x: Any, y: Any, begin: Any, end: Any) -> None:
        for i in range(begin, end):
            y[i] = innermost(x, i)

    @parallel_kernel
    def driver(x: Any, y: Any) -> None:
        for index in prange(4):
            unit(x, y, np.intp(index) * 5, np.intp(index) * 5 + 5)

    return innermost, unit, driver


X = np.linspace(-3, 2, 20)
EXPECTED = X * X + np.arange(20)


def test_only_the_whole_kernel_becomes_machine_code(emitted: list[str]) -> None:
    _, _, driver = sample()
    y = np.zeros_like(X)
    driver(X, y)
    np.testing.assert_allclose(y, EXPECTED, rtol=1e-15)
    assert emitted.count("driver") == 1
    assert not {"unit", "innermost"} & set(emitted)
    assert not [name for name in emitted if "parfor" in name or "wrapper" in name]


def test_a_numba_that_is_not_known_compiles_everything(emitted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The other test can tell; and this Numba, whatever it is, gets the same result."""
    monkeypatch.setattr(jit, "KNOWN", False)
    innermost, unit, driver = sample()
    y, z = np.zeros_like(X), np.zeros_like(X)
    driver(X, y)
    unit(X, z, 0, 20)
    np.testing.assert_allclose(y, EXPECTED, rtol=1e-15)
    np.testing.assert_allclose(z, EXPECTED, rtol=1e-15)
    assert innermost(X, 3) == pytest.approx(EXPECTED[3])
    assert {"driver", "unit", "innermost"} <= set(emitted)
    assert [name for name in emitted if "parfor" in name]


@pytest.mark.parametrize("first", ["Python", "kernel"])
def test_a_serial_kernel_can_be_called_from_python(first: str) -> None:
    """Before and after it became a part, whose address nobody has."""
    innermost, unit, driver = sample()
    y, z = np.zeros_like(X), np.zeros_like(X)
    calls: list[Callable[[], Any]] = [lambda: unit(X, y, 0, 20), lambda: driver(X, z)]
    for call in calls if first == "Python" else calls[::-1]:
        call()
        call()
    np.testing.assert_allclose(y, EXPECTED, rtol=1e-15)
    np.testing.assert_allclose(z, EXPECTED, rtol=1e-15)
    assert innermost(X, 3) == pytest.approx(EXPECTED[3])
    assert innermost(X.astype(np.float32), 3) == pytest.approx(EXPECTED[3])


def test_parts_of_several_kernels_and_types() -> None:
    _, unit, driver = sample()

    @parallel_kernel
    def other(x: Any, y: Any) -> None:
        for index in prange(2):
            unit(x, y, np.intp(index) * 10, np.intp(index) * 10 + 10)

    for run in (driver, other):
        for x in (X, X.astype(np.float32)):
            y = np.zeros_like(x)
            run(x, y)
            np.testing.assert_allclose(y, EXPECTED, rtol=1e-6)


def test_functions_of_numba_stay_whole() -> None:
    """A function of the user's own, under Numba's decorator, is part of a kernel and can be called as before."""

    @numba.njit
    def doubled(x: Any) -> Any:
        return 2 * x

    @parallel_kernel
    def driver(x: Any, y: Any) -> None:
        for index in prange(20):
            y[np.intp(index)] = doubled(x[np.intp(index)])

    y = np.zeros_like(X)
    driver(X, y)
    np.testing.assert_array_equal(y, 2 * X)
    assert doubled(1.5) == 3.0
    np.testing.assert_array_equal(doubled(X), 2 * X)


def test_an_error_in_a_part_reaches_python() -> None:
    """Outside of parallel loops, that is: from these, Numba lets none out."""

    @kernel
    def checked(x: Any) -> Any:
        if x[0] > 1:
            raise ValueError("too large")
        return x[0]

    @parallel_kernel
    def driver(x: Any, y: Any) -> None:
        first = checked(x)
        for index in prange(20):
            y[np.intp(index)] = first

    y = np.zeros_like(X)
    driver(X, y)
    np.testing.assert_array_equal(y, X[0])
    with pytest.raises(ValueError, match="too large"):
        driver(X + 5, y)
    with pytest.raises(ValueError, match="too large"):
        checked(X + 5)


def test_parts_find_their_python_objects(capsys: pytest.CaptureFixture[str]) -> None:
    """Numba's `print` takes its words from the environment of the function that it is in."""

    @kernel
    def say(x: Any, i: Any) -> None:
        print("part", i, x[i])  # noqa: T201

    @parallel_kernel
    def driver(x: Any) -> None:
        for index in prange(1):
            i = np.intp(index)
            say(x, i)
            print("loop", i, (x[i], 1.5))  # noqa: T201
        print("whole", x[0])  # noqa: T201

    driver(X)
    assert capsys.readouterr().out.splitlines() == ["part 0 -3.0", "loop 0 (-3.0, 1.5)", "whole -3.0"]
