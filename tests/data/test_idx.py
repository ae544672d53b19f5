from __future__ import annotations

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
