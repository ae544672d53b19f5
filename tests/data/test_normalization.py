from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cnntrain.data.normalization import Normalization, channel_statistics, normalization_of
from cnntrain.data.settings import MeanStd
from cnntrain.errors import ConfigError

# two images of 2 channels and 1x2 pixels
IMAGES = np.array([[[[0, 51]], [[255, 255]]], [[[102, 51]], [[0, 0]]]], dtype=np.uint8)


def normalised(images: NDArray[Any], n: Normalization) -> NDArray[np.float64]:
    return (images / n.unit - n.mean[:, None, None].astype(np.float64)) / n.std[:, None, None].astype(np.float64)


@pytest.mark.parametrize(
    ("normalize", "unit", "mean", "std"),
    [
        ("none", 1, [0, 0], [1, 1]),
        ("unit", 255, [0, 0], [1, 1]),
        # channel 0 holds 0, .2, .4, .2; channel 1 holds 1, 1, 0, 0
        ("standard", 255, [0.2, 0.5], [np.sqrt(0.02), 0.5]),
        (MeanStd(mean=[0.1, 0.2], std=[0.3, 0.4]), 255, [0.1, 0.2], [0.3, 0.4]),
        (MeanStd(mean=[0.5], std=[0.25]), 255, [0.5, 0.5], [0.25, 0.25]),
    ],
)
def test_uint8(normalize: Any, unit: float, mean: list[float], std: list[float]) -> None:
    n = normalization_of(normalize, IMAGES)
    assert n.unit == unit
    np.testing.assert_allclose(n.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(n.std, std, rtol=1e-6)
    assert n.mean.dtype == n.std.dtype == np.float32
    scale, shift = n.affine()
    assert scale.dtype == shift.dtype == np.float32
    as_affine = IMAGES * scale[:, None, None].astype(np.float64) + shift[:, None, None].astype(np.float64)
    np.testing.assert_allclose(as_affine, normalised(IMAGES, n), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("normalize", ["none", "unit"])
def test_float_images_have_a_unit_of_1(normalize: str) -> None:
    n = normalization_of(normalize, IMAGES.astype(np.float32) / 255)
    assert (n.unit, n.mean.tolist(), n.std.tolist()) == (1, [0, 0], [1, 1])


def test_standard_gives_zero_mean_and_unit_deviation() -> None:
    images = np.random.default_rng(1).normal(3, 7, (500, 3, 20, 30)).astype(np.float32)
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, images.mean(axis=(0, 2, 3), dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(std, images.std(axis=(0, 2, 3), dtype=np.float64), rtol=1e-12)


def test_sums_are_float64() -> None:
    """A float32 sum of 20 million values near 1000 would be off in the fourth digit."""
    images = np.full((20_000, 1, 25, 40), 1000, np.float32)
    images[::2] += 1
    mean, std = channel_statistics(images)
    assert mean[0] == 1000.5
    assert std[0] == 0.5


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1e-40])
def test_a_constant_channel_is_centred_and_not_divided(value: float) -> None:
    images = np.random.default_rng(1).normal(0, 1, (7, 2, 3, 3)).astype(np.float32)
    images[:, 1] = value
    n = normalization_of("standard", images)
    assert n.std[1] == 1
    assert n.std[0] == pytest.approx(1, abs=0.3)
    assert np.abs(normalised(images, n)[:, 1]).max() <= 1e-6


def test_a_deviation_too_small_to_divide_by_counts_as_constant() -> None:
    images = np.zeros((7, 1, 3, 3), np.float32)
    images[0, 0, 0, 0] = 1e-42
    scale, shift = normalization_of("standard", images).affine()
    assert scale.tolist() == [1]
    assert abs(shift[0]) < 1e-40


def test_wrong_number_of_channels() -> None:
    with pytest.raises(ConfigError, match="data.normalize: mean and std have 3 values, but the images have 2 channels"):
        normalization_of(MeanStd(mean=[0, 0, 0], std=[1, 1, 1]), IMAGES)
