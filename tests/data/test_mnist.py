from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from cnntrain.data import SOURCES, Split, describe, load_data
from cnntrain.errors import DataError
from tests.data.files import MNIST, MNIST_FILES, idx, images, settings, write_mnist


def load(folder: Path, source: str = "mnist") -> tuple[Split, Split]:
    with pytest.warns(UserWarning, match="has no image of"):  # a handful of images cannot have all ten classes
        data = load_data(settings(source=source, path=folder), seed=1)
    return data.train, data.test


def refused(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_data(settings(source="mnist", path=folder), seed=1)
    return str(caught.value)


def test_the_real_mnist() -> None:
    data = load_data(settings(source="mnist", path=MNIST), seed=1)
    assert data.train.images.shape == (60_000, 1, 28, 28)
    assert data.test.images.shape == (10_000, 1, 28, 28)
    assert data.train.images.dtype == np.uint8
    assert data.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    # LeCun, Cortes and Burges' counts of each digit in the training set
    assert np.bincount(data.train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.class_names == ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
    # the values that every MNIST tutorial hard-codes
    assert data.normalization.mean == pytest.approx([0.1307], abs=5e-5)
    assert data.normalization.std == pytest.approx([0.3081], abs=5e-5)
    assert describe(settings(source="mnist", path=MNIST)) == ((1, 28, 28), 10)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dotted", [False, True])
def test_both_names_plain_or_gzip(tmp_path: Path, suffix: str, dotted: bool) -> None:
    for name, path in write_mnist(tmp_path, [0, 1, 9], [3, 4], suffix).items():
        if dotted:
            path.rename(tmp_path / (name.replace("-idx", ".idx") + suffix))
    train, test = load(tmp_path)
    np.testing.assert_array_equal(train.images[:, 0], images(3))
    np.testing.assert_array_equal(test.images[:, 0], images(2, seed=2))
    assert train.images.flags.c_contiguous
    assert train.labels.tolist() == [0, 1, 9]
    assert test.labels.tolist() == [3, 4]
    assert train.labels.dtype == np.int64


def test_fashion_mnist_has_its_own_class_names(tmp_path: Path) -> None:
    write_mnist(tmp_path, list(range(10)), [3])
    data = load_data(settings(source="fashion-mnist", path=tmp_path), seed=1)
    assert (data.class_names[0], data.class_names[9]) == ("T-shirt/top", "Ankle boot")
    assert len(data.class_names) == 10


def test_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_mnist(tmp_path / "digits", [0, 1], [3])
    assert len(load(Path("~/digits"))[0]) == 2


def test_missing_folder_says_where_it_looked_and_what_it_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refused(Path("data/mnist"))
    assert message.startswith(f"data/mnist: no such folder (looked for {tmp_path / 'data/mnist'}); expected in it: ")
    assert all(f"{name}.gz" in message for name in MNIST_FILES)
    assert "Set data.path" in message


def test_path_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mnist.zip"
    file.touch()
    assert refused(file).startswith(f"{file}: is not a folder (looked for {file}); expected in it: train-images")


def test_missing_files_are_named_all_at_once(tmp_path: Path) -> None:
    paths = write_mnist(tmp_path, [0], [0])
    paths["train-labels-idx1-ubyte"].unlink()
    paths["t10k-images-idx3-ubyte"].unlink()
    assert refused(tmp_path) == (
        f"{tmp_path}: missing train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz "
        f"(looked in {tmp_path}; without .gz, and with a dot before idx, will do too); "
        "fetch the data with: cnntrain data download mnist"
    )


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_missing_data_can_be_fetched_by_the_command_that_the_message_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError) as caught:
        describe(settings(source=name, path=tmp_path / "gone"))
    command = f"cnntrain data download {name}"
    assert str(caught.value).endswith(f"Set data.path to the folder, or fetch the data with: {command}")
    assert SOURCES[name].published is not None


def test_label_out_of_range(tmp_path: Path) -> None:
    path = write_mnist(tmp_path, [0, 9, 10, 255], [0])["train-labels-idx1-ubyte"]
    assert refused(tmp_path) == (
        f"{path}: label 10 (of image 2, counted from 0) is out of range: with 10 classes labels must be 0 to 9; "
        "2 of 4 labels are out of range"
    )


def test_counts_differ(tmp_path: Path) -> None:
    paths = write_mnist(tmp_path, [0, 1, 2], [0, 1])
    paths["t10k-labels-idx1-ubyte"].write_bytes(gzip.compress(idx([1])))
    message = refused(tmp_path)
    assert message.startswith(f"{paths['t10k-images-idx3-ubyte']}: holds 2 images but ")
    assert f"{paths['t10k-labels-idx1-ubyte']} holds 1 labels" in message


def test_image_sizes_differ(tmp_path: Path) -> None:
    path = write_mnist(tmp_path, [0, 1, 2], [0, 1])["t10k-images-idx3-ubyte"]
    path.write_bytes(idx(images(2, 4, 2)))
    assert refused(tmp_path).startswith(f"{path}: images of 4x2 pixels, but ")


def test_labels_in_place_of_images(tmp_path: Path) -> None:
    path = write_mnist(tmp_path, [0, 1, 2], [0, 1])["train-images-idx3-ubyte"]
    path.write_bytes(idx([0, 1, 2]))
    with pytest.raises(DataError, match="is this a file of labels"):
        describe(settings(source="mnist", path=tmp_path))
