from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cnntrain.data import images as module
from cnntrain.data.images import LazyLayout, LazyRows, select

IMAGES = np.random.default_rng(1).integers(0, 256, (10, 3, 4, 5), dtype=np.uint8)


def test_rows() -> None:
    lazy = LazyRows(IMAGES, np.array([7, 1, 3]))
    assert (lazy.shape, lazy.dtype, len(lazy)) == ((3, 3, 4, 5), np.uint8, 3)
    np.testing.assert_array_equal(lazy[np.array([2, 0])], IMAGES[[3, 7]])
    np.testing.assert_array_equal(lazy[1:], IMAGES[[1, 3]])
    np.testing.assert_array_equal(lazy[:0], IMAGES[:0])
    np.testing.assert_array_equal(LazyRows(lazy, np.array([1]))[:], IMAGES[[1]])


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_layouts_and_types(dtype: type) -> None:
    floats: NDArray[Any] = np.random.default_rng(1).normal(0, 1, (6, 3, 4, 5)).astype(dtype)
    last, grey = np.ascontiguousarray(floats.transpose(0, 2, 3, 1)), floats[:, 0]
    chosen = np.array([5, 0])
    for lazy, expected in (
        (LazyLayout(last, False, np.dtype(np.float32)), floats),
        (LazyLayout(floats, True, np.dtype(np.float32)), floats),
        (LazyLayout(grey, False, np.dtype(np.float32)), floats[:, :1]),
    ):
        assert lazy.shape == expected.shape
        found = lazy[chosen]
        assert found.flags.c_contiguous
        assert found.dtype == lazy.dtype == np.float32
        np.testing.assert_array_equal(found, expected[chosen].astype(np.float32))


def test_select_copies_what_is_small_and_looks_up_what_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([4, 2])
    assert isinstance(select(IMAGES, rows), np.ndarray)
    monkeypatch.setattr(module, "physical_memory", lambda: 2000)
    large = select(IMAGES, rows)
    assert isinstance(large, LazyRows)
    np.testing.assert_array_equal(large[:], IMAGES[rows])
    assert isinstance(select(large, np.array([0])), LazyRows)
