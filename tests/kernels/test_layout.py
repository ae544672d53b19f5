"""Images into lanes and back, against indexing in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain.kernels.layout import from_lanes, to_lanes
from tests.functional.arrays import Array

# Fewer than 16 pixels, exactly 16, one more, several sixteens with and without a rest.
PLANES = [(1, 1), (3, 5), (4, 4), (1, 17), (2, 16), (5, 7), (6, 8)]


def draw(shape: tuple[int, ...], dtype: Any) -> Array:
    return np.random.default_rng(3).integers(0, 256, shape).astype(dtype)


def expected_lanes(images: Array, indices: Array, scale: Array, shift: Array, dtype: Any) -> Array:
    """(block, row, column, channel, lane), lanes without an image zero."""
    _, channels, rows, columns = images.shape
    blocks = -(-indices.size // 16)
    result = np.zeros((blocks, 16, channels, rows, columns), dtype)
    for position, index in enumerate(indices):
        normalised = images[index] * scale[:, None, None] + shift
        result[position // 16, position % 16] = normalised
    return result.transpose(0, 3, 4, 2, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("source", [np.uint8, np.float32, np.float64], ids=["bytes", "float32", "float64"])
@pytest.mark.parametrize("plane", PLANES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("whole_image", [False, True], ids=["a shift per channel", "an image of shifts"])
def test_there_and_back(channels: int, plane: tuple[int, int], source: Any, dtype: Any, whole_image: bool) -> None:
    images = draw((20, channels, *plane), source)
    scale = np.array([0.25, 0.5, 2])[:channels].astype(dtype)  # exact, however it is rounded
    shift = draw((channels, *plane) if whole_image else (channels, 1, 1), dtype) - 100
    for count in (1, 15, 16, 17, 33):
        indices = np.random.default_rng(count).integers(0, 20, count)
        blocks = -(-count // 16)
        lanes = np.full(blocks * 16 * channels * plane[0] * plane[1], 1e9, dtype)
        to_lanes(images.reshape(-1), indices, scale, shift.reshape(-1), lanes, channels, *plane)
        expected = expected_lanes(images, indices, scale, shift, dtype)
        np.testing.assert_array_equal(lanes.reshape(expected.shape), expected)

        back = np.full((count, channels, *plane), 1e9, dtype)
        from_lanes(lanes, back.reshape(-1), count, channels, *plane)
        np.testing.assert_array_equal(back, images[indices] * scale[:, None, None] + shift)


def test_nothing_but_the_blocks_of_the_images_is_written() -> None:
    images = draw((2, 1, 5, 5), np.uint8)
    lanes = np.full(3 * 25 * 16, 7, np.float32)
    one = np.ones(1, np.float32)
    to_lanes(images.reshape(-1), np.array([1, 0]), one, one, lanes, 1, 5, 5)
    assert (lanes[25 * 16 :] == 7).all()
    assert not (lanes[: 25 * 16] == 7).all()


def test_nan_and_infinity_stay() -> None:
    images = np.zeros((1, 1, 4, 5), np.float32)
    images[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    lanes = np.zeros(20 * 16, np.float32)
    to_lanes(images.reshape(-1), np.zeros(1, np.int64), np.ones(1, np.float32), np.ones(1, np.float32), lanes, 1, 4, 5)
    np.testing.assert_array_equal(lanes.reshape(20, 16)[:4, 0], [np.nan, np.inf, -np.inf, 1])


def test_masks_go_into_lanes_too() -> None:
    """Of whole numbers, as `functional.max_pool2d_backward` is given them."""
    images = np.arange(-17, 18, dtype=np.int16).reshape(1, 1, 5, 7)
    lanes, one, zero = np.full(35 * 16, 9, np.int16), np.ones(1, np.int16), np.zeros(1, np.int16)
    to_lanes(images.reshape(-1), np.zeros(1, np.int64), one, zero, lanes, 1, 5, 7)
    np.testing.assert_array_equal(lanes.reshape(35, 16)[:, 0], images.ravel())
    assert not lanes.reshape(35, 16)[:, 1:].any()
