from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from cnntrain.report.pictures import LARGEST, diverging, picture_of, signed_rgb


def decoded(address: str) -> np.ndarray:
    head, _, content = address.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.mark.parametrize("channels", [1, 3])
def test_bytes_stay_what_they_are(channels: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, (channels, 5, 7), dtype=np.uint8)
    shown = decoded(picture_of(image))
    np.testing.assert_array_equal(shown, image[0] if channels == 1 else image.transpose(1, 2, 0))


def test_other_numbers_of_channels_show_the_first() -> None:
    image = np.random.default_rng(1).integers(0, 256, (4, 5, 7), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(picture_of(image)), image[0])


def test_floats() -> None:
    np.testing.assert_array_equal(decoded(picture_of(np.array([[[0, 0.5, 1]]], np.float32))), [[0, 128, 255]])
    np.testing.assert_array_equal(decoded(picture_of(np.array([[[0.2, 0.4]]], np.float32))), [[51, 102]])
    np.testing.assert_array_equal(decoded(picture_of(np.array([[[-2.0, 0, 2]]]))), [[0, 128, 255]])
    np.testing.assert_array_equal(decoded(picture_of(np.array([[[7.0, 7, np.nan]]])))[0, :2], [255, 255])


def test_large_images_are_scaled_down() -> None:
    shown = decoded(picture_of(np.zeros((3, 400, 200), np.uint8)))
    assert shown.shape == (LARGEST, LARGEST // 2, 3)


def test_signed_numbers() -> None:
    shown = decoded(diverging(np.array([[-1.0, 0, 1]])))
    assert (shown[0, 0, 2] > shown[0, 0, 0], shown[0, 2, 0] > shown[0, 2, 2]) == (True, True)
    colours = decoded(signed_rgb(np.array([-1.0, 0, 1]).reshape(3, 1, 1)))
    assert colours.tolist() == [[[0, 128, 255]]]
