from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cnntrain.data.images import LazyLayout, LazyRows
from cnntrain.data.prefetch import bring

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


def test_a_batch_of_selected_rows_is_the_array_itself() -> None:
    rows = np.array([4, 2, 9])
    lazy = LazyRows(IMAGES, rows)
    ((indices, array, found),) = bring(lazy, [np.array([2, 0])])
    assert array is IMAGES
    assert (indices.tolist(), found.tolist()) == ([2, 0], [9, 4])


def test_rows_of_mapped_or_lazy_images_are_brought(tmp_path: Path) -> None:
    """In the background: reading them may take long."""
    np.save(tmp_path / "images.npy", IMAGES)
    rows = np.array([4, 2, 9])
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    for images in (mapped, np.asarray(mapped).reshape(10, 3, 4, 5), LazyRows(IMAGES, np.arange(10))):
        ((_, array, found),) = bring(LazyRows(images, rows), [np.array([2, 0])])
        assert array.shape == (2, 3, 4, 5)
        np.testing.assert_array_equal(array[found], IMAGES[[9, 4]])


def test_lazy_images_become_an_array_where_numpy_wants_one() -> None:
    lazy = LazyRows(IMAGES, np.array([7, 1]))
    np.testing.assert_array_equal(lazy, IMAGES[[7, 1]])
    assert np.asarray(lazy, np.float32).dtype == np.float32
