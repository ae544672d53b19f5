from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain.data import DataSettings, describe, load_data
from cnntrain.errors import DataError
from tests.data.files import idx, images, settings


def mine(folder: Path, train_labels: list[int], **keys: Any) -> DataSettings:
    (folder / "a").write_bytes(idx(images(len(train_labels))))
    (folder / "b").write_bytes(idx(train_labels))
    (folder / "c").write_bytes(idx(images(2)))
    (folder / "d").write_bytes(idx([0, 1]))
    files = {"train_images": "a", "train_labels": "b", "test_images": "c", "test_labels": "d"}
    return settings(**{"source": "idx", "path": folder, **files, **keys})


def test_explicit_names(tmp_path: Path) -> None:
    chosen = mine(tmp_path, [0, 2, 1, 1])
    data = load_data(chosen, seed=1)
    np.testing.assert_array_equal(data.train.images[:, 0], images(4))
    assert data.train.labels.tolist() == [0, 2, 1, 1]
    assert data.test.labels.tolist() == [0, 1]
    assert data.class_names == ["0", "1", "2"]  # the largest training label + 1
    assert describe(chosen) == ((1, 3, 2), 3)


def test_class_names_fix_the_number_of_classes(tmp_path: Path) -> None:
    chosen = mine(tmp_path, [0, 1], class_names=["cat", "dog", "fish"])
    assert describe(chosen)[1] == 3
    with pytest.warns(UserWarning, match=r"no image of 1 of 3 classes \(fish\)"):
        assert load_data(chosen, seed=1).class_names == ["cat", "dog", "fish"]


def test_label_beyond_the_class_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"b: label 2 \(of image 1, .* with 2 classes labels must be 0 to 1"):
        load_data(mine(tmp_path, [0, 2], class_names=["cat", "dog"]), seed=1)


def test_test_label_that_training_never_saw(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"d: label 1 \(of image 1, counted from 0\) is out of range: with 1 classes"):
        load_data(mine(tmp_path, [0, 0]), seed=1)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such file \(looked for "):
        load_data(mine(tmp_path, [0, 1], test_labels="nowhere"), seed=1)


def letters(folder: Path, **keys: Any) -> DataSettings:
    """Labels 1..26, images that lie on their side: as EMNIST's letters."""
    labels = [*range(1, 27), 3]
    chosen = mine(folder, labels, **keys)
    (folder / "d").write_bytes(idx([26, 1]))
    return chosen


def test_labels_that_count_from_1(tmp_path: Path) -> None:
    data = load_data(letters(tmp_path, first_label=1), seed=1)
    assert data.train.labels.tolist() == [*range(26), 2]
    assert data.test.labels.tolist() == [25, 0]
    assert data.class_names == [str(label) for label in range(1, 27)]
    assert describe(letters(tmp_path, first_label=1)) == ((1, 3, 2), 26)
    names = [chr(97 + n) for n in range(26)]
    assert load_data(letters(tmp_path, first_label=1, class_names=names), seed=1).class_names == names


def test_labels_that_count_from_1_unsaid(tmp_path: Path) -> None:
    with pytest.warns(
        UserWarning, match=r"no image of 1 of 27 classes \(0\); if labels count from 1, set data.first_label: 1"
    ):
        load_data(letters(tmp_path), seed=1)
    with pytest.raises(
        DataError, match=r"with 26 classes labels must be 0 to 25; .*; if they count from 1, set data.first"
    ):
        load_data(letters(tmp_path, class_names=[chr(97 + n) for n in range(26)]), seed=1)
    with pytest.raises(DataError, match=r"labels go from 1 to 26; they must be 2 to 2 \+ classes - 1"):
        load_data(letters(tmp_path, first_label=2), seed=1)


def test_transposed_images(tmp_path: Path) -> None:
    data = load_data(mine(tmp_path, [0, 2, 1, 1], transpose=True), seed=1)
    np.testing.assert_array_equal(data.train.images[:, 0], images(4).transpose(0, 2, 1))
    assert data.train.images.flags.c_contiguous
    assert describe(mine(tmp_path, [0, 1], transpose=True))[0] == (1, 2, 3)


def test_one_class(tmp_path: Path) -> None:
    for chosen in (mine(tmp_path, [0]), mine(tmp_path, [0], class_names=["only"])):
        with pytest.raises(DataError, match="there is only one class, so there is nothing to learn$"):
            describe(chosen)
    (tmp_path / "d").write_bytes(idx([0, 0]))
    with pytest.raises(DataError, match="all 3 training images have the label 0, so there is nothing to learn$"):
        load_data(mine(tmp_path, [0, 0, 0], class_names=["a", "b"]), seed=1)


@pytest.mark.parametrize("file", "abcd")
def test_a_pipe_in_place_of_a_file(tmp_path: Path, file: str) -> None:
    chosen = mine(tmp_path, [0, 1])
    (tmp_path / file).unlink()
    os.mkfifo(tmp_path / file)
    with pytest.raises(DataError, match=f"{file}: is a device or pipe, not a file"):
        load_data(chosen, seed=1)
