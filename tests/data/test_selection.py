from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnntrain.config import load_config
from cnntrain.data import DataSettings, describe
from cnntrain.data.dataset import load_data
from cnntrain.errors import ConfigError
from tests.training.small import digits, train, write_config, write_data


def settings(folder: Path, **keys: object) -> DataSettings:
    write_data(folder, digits())
    given = {"source": "npz", "path": str(folder / "digits.npz"), "normalize": "unit", **keys}
    return DataSettings.model_validate(given)


@pytest.mark.parametrize("validation", [0, 20])
def test_only_these_images_and_labels_in_the_order_of_the_names(tmp_path: Path, validation: int) -> None:
    chosen = settings(tmp_path, classes=["7", 2, "5"], validation=validation)
    data = load_data(chosen, 1)
    assert data.class_names == ["7", "2", "5"]
    assert describe(chosen)[1] == 3
    for split, part in ((data.test, "test"), (data.train, "train")):
        images, labels = digits()[f"x_{part}"], digits()[f"y_{part}"]
        expected = [(int(label), image) for image, label in zip(images, labels, strict=True) if label in (7, 2, 5)]
        if split is data.test:
            assert len(split) == len(expected)
            found = split.images[np.arange(len(split))]
            for label, image, (wanted, pixels) in zip(split.labels, found, expected, strict=True):
                assert [7, 2, 5][label] == wanted
                np.testing.assert_array_equal(image[0], pixels)
        else:
            held = 0 if data.validation is None else len(data.validation)
            assert (len(split) + held, held) == (len(expected), validation)
    assert data.train.images.in_memory  # selected at once, though held out too


def test_a_training_of_some_classes(tmp_path: Path) -> None:
    folder = train(
        write_config(tmp_path, data={"classes": [3, 8], "validation": 10}, train={"epochs": 1}), tmp_path / "r"
    )
    assert "(1x14x14, 2 classes)" in folder.log.read_text()
    assert load_config(folder.config).data.classes == ["3", "8"]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["1", "eleven"], r'data\.classes: no class is named "eleven"'),
        (["1", "10"], r'data\.classes: no class is named "10"'),
    ],
)
def test_classes_that_are_not_there(tmp_path: Path, classes: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_data(settings(tmp_path, classes=classes), 1)


def test_a_split_without_any_of_them(tmp_path: Path) -> None:
    chosen = settings(tmp_path, classes=["1", "2"])
    write_data(tmp_path, digits() | {"y_test": np.full_like(digits()["y_test"], 9)})
    with pytest.raises(ConfigError, match=r"data\.classes: the test split has no image of these classes"):
        load_data(chosen, 1)


@pytest.mark.parametrize(
    ("classes", "message"),
    [([1, 1], 'class name "1" is given twice'), ([1], "needs 2 or more entries"), ([1, 2.5], "must be text")],
)
def test_classes_that_make_no_sense(tmp_path: Path, classes: list[object], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"yaml:\d+:\d+: .*{message}"):
        load_config(write_config(tmp_path, data={"classes": classes}))
