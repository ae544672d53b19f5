"""Local response normalisation against the naive reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cnntrain.layers import LAYERS
from cnntrain.shape import Shape
from tests import naive_layers
from tests.functional.arrays import DTYPES
from tests.layers.single import Single, check_gradients

SETTINGS: list[dict[str, Any]] = [
    {"alpha": 0.7},
    {"alpha": 0.5, "size": 9, "beta": 0.5, "k": 2.0},  # wider than the 7 channels
    {"alpha": 0.5, "size": 1, "beta": 1.5},
    {"alpha": 0.7, "size": 3, "region": "within_channel"},
    {"alpha": 0.7, "size": 5, "region": "within_channel", "k": 0.5},  # higher than the 4 rows
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_forward(settings: dict[str, Any]) -> None:
    numbers = {"size": 5, "beta": 0.75, "k": 1.0, **settings}
    across = numbers.pop("region", "across_channels") == "across_channels"
    for images, dtype in zip((2, 17), DTYPES, strict=True):
        x = (3 * np.random.default_rng(1).standard_normal((images, 7, 4, 6))).astype(dtype)
        y = Single.build("local_response_norm", settings, x).forward(x)
        expected = naive_layers.local_response_norm(x, **numbers, across=across)
        np.testing.assert_allclose(y, expected, rtol=1e-6 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_gradients(settings: dict[str, Any]) -> None:
    x = np.random.default_rng(2).standard_normal((2, 4, 3, 4))
    check_gradients(Single.build("local_response_norm", settings, x), x)


@pytest.mark.parametrize("images", [1, 15, 33])
def test_numbers_of_images(images: int) -> None:
    x = np.random.default_rng(3).standard_normal((images, 3, 2, 2)).astype(np.float32)
    single = Single.build("local_response_norm", {}, x, images=40)
    y = single.forward(x)
    np.testing.assert_allclose(y, naive_layers.local_response_norm(x, 5, 1e-4, 0.75, 1.0), rtol=1e-6)
    single.backward(y)


def test_nan_shows_in_its_neighbourhood_alone() -> None:
    x = np.ones((1, 5, 1, 1), np.float32)
    x[0, 0] = np.nan
    y = Single.build("local_response_norm", {"size": 3}, x).forward(x)
    assert np.isnan(y).ravel().tolist() == [True, True, False, False, False]


def test_settings() -> None:
    settings: Any = LAYERS["local_response_norm"].Settings
    assert settings().output_shape(Shape(3, 4, 5)) == (3, 4, 5)
    with pytest.raises(ValidationError, match="must be odd"):
        settings(size=4)
    with pytest.raises(ValidationError, match="region"):
        settings(region="everywhere")
