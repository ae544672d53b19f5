from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from cnntrain.data import DataSet, Split, batches, load_data
from cnntrain.errors import ArgumentError, ConfigError
from tests.data.files import MNIST, images, settings


def dataset(folder: Path, seed: int = 1, **keys: object) -> DataSet:
    """40 training images of 4 classes."""
    labels = np.arange(40) % 4
    path = folder / "data.npz"
    np.savez(path, x_train=images(40), y_train=labels, x_test=images(4, seed=2), y_test=labels[:4])
    return load_data(settings(source="npz", path=path, **keys), seed)


def rows(split: Split) -> list[tuple[bytes, int]]:
    return [(image.tobytes(), int(label)) for image, label in zip(split.images, split.labels, strict=True)]


def test_validation_is_held_out_of_training(tmp_path: Path) -> None:
    whole = dataset(tmp_path)
    data = dataset(tmp_path, validation=8)
    assert whole.validation is None
    assert data.validation is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (32, 8, 4)
    assert sorted(rows(data.train) + rows(data.validation)) == sorted(rows(whole.train))
    assert np.bincount(data.validation.labels).tolist() == [2, 2, 2, 2]
    assert data.train.images[:3].flags.c_contiguous


def test_statistics_are_those_of_the_remaining_training_images(tmp_path: Path) -> None:
    data = dataset(tmp_path, validation=0.5)
    remaining = np.asarray(data.train.images)
    assert data.normalization.mean[0] == pytest.approx(remaining.mean() / 255, rel=1e-6)
    assert data.normalization.std[0] == pytest.approx(remaining.std() / 255, rel=1e-6)


def test_the_seed_decides_the_split(tmp_path: Path) -> None:
    one, again, other = (rows(dataset(tmp_path, seed, validation=8).split("validation")) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_mnist_with_5000_held_out() -> None:
    data = load_data(settings(source="mnist", path=MNIST, validation=5000), seed=1)
    assert (len(data.train), len(data.split("validation"))) == (55_000, 5000)
    # 5000 * (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949) / 60000, rounded to the sum of 5000
    assert np.bincount(data.split("validation").labels).tolist() == [494, 562, 496, 511, 487, 452, 493, 522, 487, 496]


def test_split_by_name(tmp_path: Path) -> None:
    data = dataset(tmp_path, validation=8)
    assert data.split("train") is data.train
    assert data.split("validation") is data.validation
    assert data.split("test") is data.test
    with pytest.raises(ArgumentError, match='no split is named "dev"; splits are train, validation and test'):
        data.split("dev")
    with pytest.raises(ConfigError, match=r"no validation split: data\.validation is 0; set it to"):
        dataset(tmp_path).split("validation")


def test_a_class_without_training_images_is_a_warning(tmp_path: Path) -> None:
    message = "the training split has no image of 2 of 6 classes (e, f)"
    with pytest.warns(UserWarning, match=re.escape(message)):
        dataset(tmp_path, class_names=list("abcdef"))


def test_batches_in_order() -> None:
    found = list(batches(10, 4))
    assert [batch.tolist() for batch in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert all(batch.dtype == np.int64 for batch in found)


def test_shuffled_batches_hold_every_index_once() -> None:
    found = np.concatenate(list(batches(100, 7, np.random.default_rng(1))))
    assert found.tolist() != list(range(100))
    assert sorted(found.tolist()) == list(range(100))
    again = np.concatenate(list(batches(100, 9, np.random.default_rng(1))))
    np.testing.assert_array_equal(found, again)  # the order does not depend on the batch size
