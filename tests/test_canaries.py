"""The canaries themselves: writing beside an array is noticed, on either side, and only there."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from cnntrain import memory
from cnntrain.memory import line_aligned
from tests.canaries import Canaries


@pytest.fixture
def canaries(monkeypatch: pytest.MonkeyPatch) -> Canaries:
    own = Canaries()
    monkeypatch.setattr(memory, "reserve", own.reserve)
    return own


@pytest.mark.parametrize("size", [0, 1, 16, 1000])
def test_arrays_are_zeros_that_begin_at_a_line(canaries: Canaries, size: int) -> None:
    array = line_aligned(size, np.float32)
    assert (array.shape, array.ctypes.data % 64, array.any()) == ((size,), 0, False)
    assert array[1:].base is array
    array[...] = 1
    canaries.check()


@pytest.mark.parametrize("beside", [-4, -200, 64, 300])
def test_a_write_beside_an_array_is_noticed_once(canaries: Canaries, beside: int) -> None:
    array = line_aligned(16, np.float32)
    ctypes.c_float.from_address(array.ctypes.data + beside).value = 1.0
    with pytest.raises(AssertionError, match="beside an array of 64 bytes"):
        canaries.check()
    canaries.check()


def test_arrays_that_are_gone_are_forgotten(canaries: Canaries) -> None:
    line_aligned(16, np.float32)
    canaries.check()
    assert canaries._laid == []


def test_all_tests_run_between_canaries() -> None:
    assert memory.reserve.__self__.__class__ is Canaries  # type: ignore[attr-defined]
