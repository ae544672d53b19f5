from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from cnntrain.data.images import LazyRows
from cnntrain.data.normalization import Normalization, byte_counts, channel_statistics, normalization_of
from cnntrain.data.settings import MeanImage, MeanImageSettings, MeanStd
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


@pytest.mark.parametrize("shape", [(2000, 1, 28, 28), (5, 3, 7, 9), (1, 1, 1, 1)], ids=str)
def test_bytes_are_counted_one_by_one(shape: tuple[int, ...]) -> None:
    """However many are counted at a time: even and odd numbers of them, in one pass and in several."""
    images = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    expected = [[int((channel == value).sum()) for value in range(256)] for channel in images.swapaxes(0, 1)]
    np.testing.assert_array_equal(byte_counts(images), expected)
    np.testing.assert_array_equal(byte_counts(images[:, ::-1]), expected[::-1])


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


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("divide", [True, False])
def test_mean_image(unit: bool, divide: bool) -> None:
    images = np.random.default_rng(1).integers(0, 256, (40, 2, 3, 5), dtype=np.uint8)
    n = normalization_of(MeanImage(mean_image=MeanImageSettings(unit=unit, std=divide)), images)
    on_scale = images / 255 if unit else images.astype(float)
    expected = on_scale - on_scale.mean(axis=0)
    std = np.sqrt((expected**2).mean(axis=(0, 2, 3))) if divide else np.ones(2)
    assert (n.unit, n.mean.shape, n.mean.dtype) == (255 if unit else 1, (2, 3, 5), np.float32)
    np.testing.assert_allclose(n.std, std, rtol=1e-6)
    expected /= std[:, None, None]
    scale, shift = n.affine()
    assert (scale.shape, shift.shape, shift.dtype) == ((2,), (2, 3, 5), np.float32)
    np.testing.assert_allclose(
        images * scale[:, None, None] + shift, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
    )


def test_mean_image_of_float_images() -> None:
    images = np.random.default_rng(1).normal(3, 7, (500, 1, 4, 3)).astype(np.float32)
    n = normalization_of(MeanImage(), images)
    assert n.unit == 1
    np.testing.assert_allclose(n.mean, images.mean(axis=0, dtype=np.float64), rtol=1e-6)
    assert n.std.tolist() == [1]


def test_statistics_of_lazy_images_are_those_of_the_array() -> None:
    images = np.random.default_rng(1).integers(0, 256, (400, 3, 20, 30), dtype=np.uint8)
    rows = np.arange(0, 400, 3)
    for normalize in ("standard", MeanImage(mean_image=MeanImageSettings(std=True))):
        lazy, plain = normalization_of(normalize, LazyRows(images, rows)), normalization_of(normalize, images[rows])
        np.testing.assert_array_equal(lazy.mean, plain.mean)
        np.testing.assert_array_equal(lazy.std, plain.std)


@pytest.mark.parametrize("value", [0.0, 0.1, 255.0])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_constant_channel_has_no_deviation_and_is_named(value: float, dtype: Any) -> None:
    images = np.random.default_rng(1).integers(0, 255, (7, 2, 3, 3)).astype(dtype)
    images[:, 1] = value
    assert channel_statistics(images)[1][1] == pytest.approx(0, abs=1e-6)
    if value != 0.1:
        assert normalization_of("standard", images).constant_channels == (1,)
    assert normalization_of("standard", images[:, :1]).constant_channels == ()


@pytest.mark.parametrize(("mean", "std"), [(0, 1e-300), (0, 1e-38), (0, 1e300), (1e300, 1), (1e10, 1e-25), (-1e31, 1)])
def test_given_statistics_that_no_32_bit_number_can_follow(mean: float, std: float) -> None:
    """std: 1e-300 became a division by 0."""
    with pytest.raises(ValidationError, match=f"found mean {mean:g} and std {std:g}".replace("+", r"\+")):
        MeanStd(mean=[0.0, float(mean)], std=[1.0, float(std)])


@pytest.mark.parametrize(("mean", "std"), [(0, 1e-30), (1e-30, 1e-30), (1e29, 0.1), (0, 1e30)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_given_statistics_at_the_limits(mean: float, std: float, dtype: Any) -> None:
    n = normalization_of(MeanStd(mean=[float(mean)], std=[float(std)]), IMAGES.astype(dtype))
    with np.errstate(all="raise"):
        for values in n.affine():
            assert np.isfinite(values).all()
        assert n.affine()[0].min() > 0
