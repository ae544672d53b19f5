"""Evaluating needs only the split that is evaluated."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain.data import DataSet, Split, load_data
from cnntrain.data.dataset import load_split
from cnntrain.errors import ArgumentError, DataError
from tests.data.files import settings, write_mnist
from tests.data.pictures import encoded, load, pixels, tree, write_folder

CLASSES, SHAPE = ["cat", "dog"], (3, 4, 6)


def one(path: Path, name: str, classes: list[str] = CLASSES, shape: tuple[int, int, int] = SHAPE, **keys: Any) -> Split:
    return load_split(settings(source=keys.pop("source", "folder"), path=path, **keys), 1, name, classes, shape)


def same(split: Split, data: DataSet, name: str) -> None:
    expected = data.split(name)
    np.testing.assert_array_equal(split.images[:], expected.images[:])
    np.testing.assert_array_equal(split.labels, expected.labels)


@pytest.mark.parametrize("storage", ["cache", "memory", "stream"])
def test_one_split_of_a_folder(tmp_path: Path, storage: str) -> None:
    files = tree() | {f"val/cat/{n}.png": encoded(pixels(n + 50)) for n in range(2)}
    data = load(write_folder(tmp_path / "all", files), storage=storage)
    for name, folder in (("test", "test"), ("validation", "val"), ("train", "train")):
        part = write_folder(tmp_path / name, {each: c for each, c in files.items() if each.startswith(folder)})
        for _ in range(2):  # decoded, then from the cache
            same(one(part, name, storage=storage), data, name)
        same(one(tmp_path / "all", name, storage=storage), data, name)


def test_held_out_images_need_the_training_split_alone(tmp_path: Path) -> None:
    path = write_folder(tmp_path, tree())
    data = load(path, validation=2)
    shutil.rmtree(path / "test")
    for name in ("train", "validation"):
        same(one(path, name, validation=2), data, name)


def test_images_chosen_by_content(tmp_path: Path) -> None:
    files = {f"{kind}/{n}.png": encoded(pixels(n + 100 * (kind == "dog"))) for kind in CLASSES for n in range(20)}
    path = write_folder(tmp_path, files)
    data = load(path, test=0.2, validation=0.2)
    for name in ("train", "validation", "test"):
        same(one(path, name, test=0.2, validation=0.2), data, name)


def test_labels_are_those_of_the_network(tmp_path: Path) -> None:
    path = write_folder(tmp_path, tree())
    load(path)  # decoded and kept with labels of its own
    assert one(path, "test", ["a", "cat", "dog"]).labels.tolist() == [1, 2]
    for _ in range(2):
        with pytest.raises(
            DataError, match="the test split has a class that the network does not know: dog; classes are cat"
        ):
            one(path, "test", ["cat"])


def test_images_of_another_size(tmp_path: Path) -> None:
    path = write_folder(tmp_path, tree())
    with pytest.raises(DataError, match="has 4x6 pixels"):
        one(path, "test", shape=(3, 9, 9))
    with pytest.raises(DataError, match="the network takes images of 3x9x9, the data have 3x5x5"):
        one(path, "test", shape=(3, 9, 9), resize=[5, 5])
    with pytest.raises(DataError, match="the network takes images of 3x4x6, the data have 1x4x6"):
        one(path, "test", color="grey")


def test_mnist(tmp_path: Path) -> None:
    files = write_mnist(tmp_path, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [4, 5])
    digits, shape = [str(n) for n in range(10)], (1, 3, 2)
    data = load_data(settings(source="mnist", path=tmp_path), 1)
    for name in files:
        if name.startswith("train"):
            files[name].unlink()
    same(one(tmp_path, "test", digits, shape, source="mnist"), data, "test")
    with pytest.raises(DataError, match="missing train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz"):
        one(tmp_path, "train", digits, shape, source="mnist")
    keys = {f"{kind}_{what}": f"{kind}" for kind in ("train", "test") for what in ("images", "labels")}
    keys |= {"test_images": "t10k-images-idx3-ubyte.gz", "test_labels": "t10k-labels-idx1-ubyte.gz"}
    same(one(tmp_path, "test", digits, shape, source="idx", **keys), data, "test")


def test_a_split_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match='no split is named "tset"; splits are train, validation and test'):
        one(tmp_path, "tset")
    with pytest.raises(DataError, match="no image files in validation/<class>/; found 2 images of the test"):
        one(write_folder(tmp_path, tree()), "validation")
