"""Sizes and proportions: `fit` against plain sums in NumPy."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cnntrain.data.decoding import decode
from cnntrain.data.image_form import Form, draft
from tests.data.pictures import encoded


def halves(rows: int, columns: int) -> NDArray[np.uint8]:
    """A grey slope from left to right, with its own value in every column."""
    return np.broadcast_to(np.linspace(0, 255, columns).round().astype(np.uint8), (rows, columns)).copy()


def form(rows: int, columns: int, fit: Any, **keys: Any) -> Form:
    return Form("grey", rows, columns, True, fit=fit, **keys)


def shrunk(image: NDArray[Any], factor: int) -> NDArray[Any]:
    """Bilinear shrinking (a triangle twice as wide as a target pixel), one axis after the other, in plain loops."""
    for axis in (0, 1):
        moved = np.moveaxis(image.astype(float), axis, 0)
        result = []
        for target in range(len(moved) // factor):
            centre = (target + 0.5) * factor
            weights = [max(0.0, 1 - abs(source + 0.5 - centre) / factor) for source in range(len(moved))]
            result.append(sum(w * row for w, row in zip(weights, moved, strict=True)) / sum(weights))
        image = np.moveaxis(np.array(result), 0, axis)
    return image


def test_stretch_takes_all_of_it() -> None:
    found = decode(encoded(halves(4, 40)), form(4, 4, "stretch"))[0]
    assert found[0, 0] < 40
    assert found[0, -1] > 215


def test_crop_takes_the_middle() -> None:
    image = np.random.default_rng(1).integers(0, 256, (16, 40), dtype=np.uint8)
    found = decode(encoded(image), form(4, 4, "crop"))[0]
    expected = shrunk(image[:, 12:28], 4)
    inside = (slice(1, -1), slice(1, -1))  # at the borders the filter sees what lies beside
    assert np.abs(found[inside] - expected[inside]).max() <= 1
    np.testing.assert_array_equal(decode(encoded(image.T.copy()), form(4, 4, "crop"))[0], found.T)


@pytest.mark.parametrize("background", [(255, 255, 255), (10, 20, 200)])
def test_pad_keeps_all_on_the_background(background: tuple[int, int, int]) -> None:
    image = np.random.default_rng(2).integers(0, 256, (16, 32), dtype=np.uint8)
    found = decode(encoded(image), form(8, 8, "pad", background=background))[0]
    grey = round(0.299 * background[0] + 0.587 * background[1] + 0.114 * background[2])
    assert np.abs(found[[0, 1, 6, 7]].astype(int) - grey).max() <= 1
    assert np.abs(found[2:6] - shrunk(image, 4)).max() <= 1
    rgb = decode(encoded(image), Form("rgb", 8, 8, True, background, fit="pad"))
    np.testing.assert_array_equal(rgb[:, 0, 0], background)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5), (64, 48)])
def test_any_size_becomes_the_one(fit: str, size: tuple[int, int]) -> None:
    image = np.full(size, 77, np.uint8)
    found = decode(encoded(image), form(6, 9, fit, background=(77, 77, 77)))
    assert found.shape == (1, 6, 9)
    assert (found == 77).all()


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(900, 1300), (1300, 900), (600, 600)])
def test_a_large_jpeg_is_much_the_same_by_the_short_way(fit: Any, size: tuple[int, int]) -> None:
    rows, columns = np.mgrid[: size[0], : size[1]] / 90
    image = (127 + 60 * np.sin(rows) + 60 * np.cos(columns)).astype(np.uint8)
    content = encoded(image, "JPEG", quality=95)
    whole = encoded(np.asarray(Image.open(io.BytesIO(content))))  # the same pixels, as PNG
    for target in ((32, 48), (64, 64)):
        one, other = (decode(each, form(*target, fit)).astype(int) for each in (content, whole))
        assert np.abs(one - other).mean() < 1.5


def test_a_jpeg_that_lies_on_its_side_is_not_decoded_too_small() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    image = np.random.default_rng(3).integers(0, 256, (320, 640), dtype=np.uint8).repeat(2, 0).repeat(2, 1)
    Image.fromarray(image).save(stream, "JPEG", quality=95, exif=exif)
    upright = np.asarray(Image.open(io.BytesIO(stream.getvalue())).transpose(Image.Transpose.ROTATE_270))
    found = decode(stream.getvalue(), form(160, 40, "stretch"))
    assert np.abs(found.astype(int) - decode(encoded(upright), form(160, 40, "stretch"))).mean() < 12


@pytest.mark.parametrize("size", [(640, 1280), (1280, 640), (1000, 1000), (100, 90), (3000, 200)])
@pytest.mark.parametrize("target", [(32, 32), (160, 40), (40, 160)])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_twice_the_wanted_size_is_left_of_a_jpeg(size: tuple[int, int], target: tuple[int, int], fit: Any) -> None:
    with Image.open(io.BytesIO(encoded(np.zeros(size, np.uint8), "JPEG"))) as image:
        draft(image, form(*target, fit))
        rows, columns = image.height, image.width
    if (rows, columns) == size:
        return  # too small to be made smaller
    for height, width in ((rows, columns), (columns, rows)):  # also if it lies on its side
        if fit == "pad":
            scale = min(target[0] / height, target[1] / width)
            assert 1 / scale >= 2
        else:
            assert height >= 2 * target[0]
            assert width >= 2 * target[1]
