from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cnntrain.data.decoding import decode, image_size
from cnntrain.data.image_files import UnreadableFileError
from cnntrain.data.image_form import Form, TooDeepError, WrongSizeError
from tests.data.pictures import encoded, pixels

RGB = Form("rgb", 4, 6, resize=False)
UPRIGHT = pixels(3)  # 4 rows, 6 columns

# How a picture must be stored so that a viewer that obeys the orientation shows UPRIGHT: the inverse of what the EXIF
# standard (CIPA DC-008, tag 274) says of row 0 and column 0: "2: top, right; 3: bottom, right; 4: bottom, left; 5:
# left, top; 6: right, top; 7: right, bottom; 8: left, bottom".
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.transpose(1, 0, 2),
    6: UPRIGHT[:, ::-1].transpose(1, 0, 2),
    7: UPRIGHT[::-1, ::-1].transpose(1, 0, 2),
    8: UPRIGHT[::-1].transpose(1, 0, 2),
}


def oriented(stored: NDArray[Any], orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(np.ascontiguousarray(stored)).save(stream, kind, exif=exif, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_images_are_turned_as_exif_says(kind: str, orientation: int) -> None:
    content = oriented(STORED[orientation], orientation, kind)
    assert image_size(content) == (4, 6)
    np.testing.assert_array_equal(decode(content, RGB), UPRIGHT.transpose(2, 0, 1))


def test_a_jpeg_with_and_without_orientation() -> None:
    plain = encoded(UPRIGHT, "JPEG")
    stored = np.asarray(Image.open(io.BytesIO(plain)))
    np.testing.assert_array_equal(decode(plain, RGB), stored.transpose(2, 0, 1))
    turned = oriented(UPRIGHT, 3, "JPEG")
    np.testing.assert_array_equal(decode(turned, RGB), stored[::-1, ::-1].transpose(2, 0, 1))


@pytest.mark.parametrize("orientation", [0, 9, 60000])
def test_an_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    np.testing.assert_array_equal(decode(oriented(UPRIGHT, orientation, "PNG"), RGB), UPRIGHT.transpose(2, 0, 1))


def test_damaged_exif_is_none() -> None:
    stream = io.BytesIO()
    Image.fromarray(UPRIGHT).save(stream, "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03")
    np.testing.assert_array_equal(decode(stream.getvalue(), RGB), UPRIGHT.transpose(2, 0, 1))


def test_the_size_is_checked_upright() -> None:
    lying = oriented(STORED[6], 6, "PNG")
    decode(lying, RGB)
    with pytest.raises(WrongSizeError, match="has 4x6 pixels"):
        decode(lying, Form("rgb", 6, 4, resize=False))


HIDDEN = np.array([200, 10, 30])


def see_through(alpha: NDArray[Any]) -> NDArray[np.uint8]:
    return np.dstack([np.broadcast_to(HIDDEN, (4, 6, 3)), alpha]).astype(np.uint8)


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (10, 200, 90)])
def test_transparent_pixels_show_the_background(background: tuple[int, int, int]) -> None:
    alpha = np.zeros((4, 6))
    alpha[1], alpha[2] = 255, 128
    image = decode(encoded(see_through(alpha)), Form("rgb", 4, 6, False, background)).transpose(1, 2, 0)
    expected = (HIDDEN * alpha[..., None] + np.array(background) * (255 - alpha[..., None])) / 255
    np.testing.assert_array_equal(image[0], np.broadcast_to(background, (6, 3)))
    np.testing.assert_array_equal(image[1], np.broadcast_to(HIDDEN, (6, 3)))
    assert np.abs(image - expected).max() <= 1


def test_all_ways_of_being_transparent() -> None:
    grey = np.dstack([np.full((4, 6), 7), np.zeros((4, 6))]).astype(np.uint8)
    palette = Image.new("P", (6, 4), 3)
    palette.putpalette([0, 0, 0] * 3 + [9, 8, 7])
    images = {"grey and alpha": encoded(grey)}
    for name, transparency in (("one colour of a palette", 3), ("a palette with alpha", bytes([255, 255, 255, 0]))):
        stream = io.BytesIO()
        palette.save(stream, "PNG", transparency=transparency)
        images[name] = stream.getvalue()
    stream = io.BytesIO()
    palette.save(stream, "GIF", transparency=3)
    images["GIF"] = stream.getvalue()
    stream = io.BytesIO()
    Image.new("RGB", (6, 4), (5, 5, 5)).save(stream, "PNG", transparency=(5, 5, 5))
    images["one colour"] = stream.getvalue()
    for name, content in images.items():
        for color in ("rgb", "grey"):
            assert (decode(content, Form(color, 4, 6, False)) == 255).all(), name
            assert (decode(content, Form(color, 4, 6, False, (0, 0, 0))) == 0).all(), name


@pytest.mark.parametrize("color", ["rgb", "grey"])
def test_opaque_images_keep_their_bits(color: str) -> None:
    opaque = np.dstack([UPRIGHT, np.full((4, 6), 255, np.uint8)])
    form = Form(color, 4, 6, False, (1, 2, 3))
    np.testing.assert_array_equal(decode(encoded(opaque), form), decode(encoded(UPRIGHT), form))
    grey = pixels(5, channels=1)
    both = np.dstack([grey, np.full((4, 6), 255, np.uint8)])
    np.testing.assert_array_equal(decode(encoded(both), form), decode(encoded(grey), form))


DEEP = np.array([[0, 4095, 2048, 8, 128, 129]] * 4, np.uint16)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_deep_grey_images_are_scaled_by_what_is_white(kind: str) -> None:
    content = encoded(DEEP, kind)
    for reader in (image_size, lambda content: decode(content, RGB)):
        with pytest.raises(TooDeepError, match="has more than 8 bits per pixel") as caught:
            reader(content)
        assert "set data.white to the value that is white (65535" in caught.value.advice
    assert image_size(content, white=4095) == (4, 6)
    image = decode(content, Form("grey", 4, 6, False, white=4095))
    np.testing.assert_array_equal(image[0], np.round(DEEP * 255.0 / 4095))
    with pytest.raises(UnreadableFileError, match="has values from 0 to 4095, but data.white is 4000"):
        decode(content, Form("rgb", 4, 6, False, white=4000))


def test_floating_point_images_name_the_source_that_takes_them() -> None:
    content = encoded(np.zeros((4, 6), np.float32), "TIFF")
    with pytest.raises(UnreadableFileError, match="has floating-point pixels .the sources npz and npy take those"):
        decode(content, Form("rgb", 4, 6, False, white=255))
