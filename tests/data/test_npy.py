from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cnntrain.data import DataSet, describe, load_data
from cnntrain.data.images import LazyImages
from cnntrain.errors import DataError
from tests.data.files import settings

GREY = np.random.default_rng(1).integers(0, 256, (6, 4, 5), dtype=np.uint8)
COLOUR = np.random.default_rng(2).integers(0, 256, (6, 3, 4, 5), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def write(folder: Path, images: NDArray[Any] = GREY, **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, array in {
        "x_train": images,
        "y_train": LABELS,
        "x_test": images[:2],
        "y_test": LABELS[:2],
        **more,
    }.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def load(path: Path, **keys: Any) -> DataSet:
    return load_data(settings(source="npy", path=path, **keys), seed=1)


def refused(path: Path, **keys: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(path, **keys)
    message = str(caught.value)
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


@pytest.mark.parametrize(
    ("stored", "keys", "expected", "lazy"),
    [
        (GREY, {}, GREY[:, None], False),
        (COLOUR, {"channels": "first"}, COLOUR, False),
        (COLOUR.transpose(0, 2, 3, 1).copy(), {}, COLOUR, True),
        (GREY[..., None], {}, GREY[:, None], False),
        (GREY.astype(np.float32) / 3, {}, GREY[:, None].astype(np.float32) / 3, False),
        (GREY.astype(np.float64) / 3, {}, (GREY[:, None] / 3).astype(np.float32), True),
        (GREY.astype(">f4"), {}, GREY[:, None].astype(np.float32), True),
    ],
)
def test_layouts(
    tmp_path: Path, stored: NDArray[Any], keys: dict[str, str], expected: NDArray[Any], lazy: bool
) -> None:
    path = write(tmp_path, stored)
    data = load(path, **keys)
    assert isinstance(data.train.images, LazyImages) == lazy
    assert data.train.images.dtype == expected.dtype
    assert data.train.images.shape == expected.shape
    np.testing.assert_array_equal(data.train.images[np.arange(6)], expected)
    assert data.train.labels.tolist() == LABELS.tolist()
    assert describe(settings(source="npy", path=path, **keys)) == (expected.shape[1:], 3)


def test_images_are_mapped_not_read(tmp_path: Path) -> None:
    images = load(write(tmp_path)).train.images
    assert type(images) is np.ndarray
    base: Any = images
    while not isinstance(base, np.memmap):
        base = base.base
    images[:] = 0
    np.testing.assert_array_equal(np.load(tmp_path / "x_train.npy"), GREY)


def test_validation_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, x_validation=GREY[:3], y_validation=LABELS[:3])
    assert load(path).split("validation").labels.tolist() == [0, 1, 2]
    (path / "y_validation.npy").unlink()
    assert refused(path).startswith(": no array named y_validation; found ")


def test_missing_and_damaged(tmp_path: Path) -> None:
    assert refused(tmp_path / "gone").startswith(": no such folder (looked for ")
    assert refused(tmp_path) == ": no array named x_train, y_train, x_test, y_test; found nothing"
    path = write(tmp_path / "a")
    whole = (path / "x_train.npy").read_bytes()
    (path / "x_train.npy").write_bytes(whole[:-1])
    assert refused(path) == (
        "/x_train.npy: truncated or corrupt: its header announces shape (6, 4, 5) of uint8 = 120 bytes, "
        "but 119 are there"
    )
    (path / "x_train.npy").write_bytes(whole.replace(b"(6, 4, 5)", b"(6, 4, 9)"))
    assert "announces shape (6, 4, 9) of uint8 = 216 bytes, but 120 are there" in refused(path)
    for content in (b"", b"<html>", whole[:20]):
        (path / "x_train.npy").write_bytes(content)
        assert refused(path).startswith("/x_train.npy: corrupt, or not an array (")


def test_refused_content(tmp_path: Path) -> None:
    assert "is in Fortran order" in refused(write(tmp_path / "f", np.asfortranarray(GREY)))
    assert "holds nothing: shape (0, 4, 5)" in refused(write(tmp_path / "0", GREY[:0]))
    floats = GREY.astype(np.float64)
    floats[4, 2, 1] = np.nan
    assert refused(write(tmp_path / "n", floats)).startswith(
        "/x_train.npy: pixel value nan in image 4 (counted from 0) at channel 0, row 2, column 1"
    )
    path = write(tmp_path / "o")
    np.save(path / "y_train.npy", np.array([{}], dtype=object))
    assert "holds Python objects (dtype object); they are refused" in refused(path)


def test_a_validation_split_and_whole_floats(tmp_path: Path) -> None:
    path = write(tmp_path, y_train=LABELS / 1, x_val=GREY[:3], y_val=LABELS[:3])
    data = load(path)
    assert data.train.labels.tolist() == LABELS.tolist()
    assert len(data.split("validation")) == 3


def test_a_damaged_header(tmp_path: Path) -> None:
    """One byte of it ended in a tokenize.TokenError."""
    path = write(tmp_path)
    content = (path / "x_train.npy").read_bytes()
    for position in range(12, 80):
        for byte in b" ([{'":
            damaged = bytearray(content)
            damaged[position] = byte
            (path / "x_train.npy").write_bytes(damaged)
            with contextlib.suppress(DataError):
                load(path)


def test_a_pipe_in_place_of_a_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    for name in ("y_test", "y_train"):
        (path / f"{name}.npy").unlink()
        os.mkfifo(path / f"{name}.npy")
        assert refused(path) == f"/{name}.npy: is a device or pipe, not a file"
