from __future__ import annotations

import os
from pathlib import Path

import pytest

from cnntrain.data import describe
from cnntrain.errors import DataError
from tests.data.files import settings
from tests.data.pictures import load, tree, write_folder, write_zip


def renamed(**names: str) -> dict[str, bytes]:
    return {f"{names.get(top, top)}/{rest}": c for name, c in tree().items() for top, _, rest in [name.partition("/")]}


def refused(path: Path) -> str:
    for action in (lambda: describe(settings(source="folder", path=path)), lambda: load(path)):
        with pytest.raises(DataError) as caught:
            action()
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("Training", "Testing"), ("TRAIN", "test")])
@pytest.mark.parametrize("outer", ["", "pets/", "pets/Images of pets/"])
def test_other_names_of_the_splits_and_outer_folders(tmp_path: Path, train: str, test: str, outer: str) -> None:
    files = {f"{outer}{name}": content for name, content in renamed(train=train, test=test).items()}
    files["__MACOSX/._x"] = files[f"{outer}.DS_Store"] = b"x"
    for path in (write_folder(tmp_path / "a", files), write_zip(tmp_path / "a.zip", files)):
        data = load(path)
        assert (len(data.train), len(data.test), data.class_names) == (6, 2, ["cat", "dog"])


def test_two_folders_for_one_split(tmp_path: Path) -> None:
    path = write_folder(tmp_path, tree() | renamed(train="Training"))
    assert refused(path) == "Training/ and train/ could both be the train split: remove or rename one"


def test_a_message_says_what_was_found(tmp_path: Path) -> None:
    flat = {name.removeprefix("train/"): content for name, content in tree().items() if name.startswith("train")}
    assert refused(write_folder(tmp_path / "flat", flat)).startswith(
        "no image files in train/<class>/; found image files in cat/ (3), dog/ (3): if these are the classes, set "
        "data.test: 0.2 to take a fifth of each for testing; expected train/<class>/"
    )
    only_test = {name: content for name, content in tree().items() if name.startswith("test")}
    assert refused(write_folder(tmp_path / "t", only_test)).startswith(
        "no image files in train/<class>/; found 2 images of the test split; expected"
    )
    loose = {name.replace("/", "-"): content for name, content in tree().items()}
    assert refused(write_folder(tmp_path / "loose", loose)).startswith(
        "no image files in train/<class>/; found 8 image files that lie in no folder; expected"
    )
    detector = {f"images/{name}": content for name, content in tree().items()} | {
        "labels/train/cat/0.txt": b"1 0 0 1 1"
    }
    assert "; images/ beside labels/ is how data for finding objects are laid out" in refused(
        write_folder(tmp_path / "yolo", detector)
    )


def test_one_class_names_the_likely_mistake(tmp_path: Path) -> None:
    yolo = {f"{split}/images/{n}.png": tree()["train/cat/0.png"] for split in ("train", "test") for n in range(3)}
    yolo |= {f"train/labels/{n}.txt": b"0 0.5 0.5 1 1" for n in range(3)}
    with pytest.warns(UserWarning, match="ignored 3 files"):
        message = refused(write_folder(tmp_path / "yolo", yolo))
    assert message.startswith(
        "all 3 training images have the label 0, so there is nothing to learn; images/ beside labels/"
    )
    nested = {name.replace("/", "/pets/", 1): content for name, content in tree().items()}
    assert refused(write_folder(tmp_path / "nested", nested)).endswith(
        "; all classes may lie one folder too deep: in pets/ are cat/ (3), dog/ (3)"
    )
    one = {name: content for name, content in tree().items() if "dog" not in name}
    assert refused(write_folder(tmp_path / "one", one)).endswith("so there is nothing to learn")


def test_class_names_are_kept_true(tmp_path: Path) -> None:
    """Joiners and wide spaces became U+FFFD, and classes that differ in them one name."""
    names = ["می\u200cخواهم", "می\u200dخواهم", "全\u3000角", "tab\there", "\u202eevil"]
    images = list(tree().values())
    files = {f"{split}/{name}/0.png": images[n] for split in ("train", "test") for n, name in enumerate(names)}
    for path in (write_folder(tmp_path / "a", files), write_zip(tmp_path / "a.zip", files)):
        data = load(path)
        assert data.class_names == sorted(names)
        assert data.train.labels.tolist() == [0, 1, 2, 3, 4]


def test_a_class_name_that_is_no_utf8_is_written_out(tmp_path: Path) -> None:
    path = write_folder(tmp_path, tree())
    for split in ("train", "test"):
        (path / split / "dog").rename(path / split / os.fsdecode(b"h\xf6nd"))
    data = load(path)
    assert data.class_names == ["cat", "h\\xf6nd"]
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_two_folders_whose_names_are_one_text_are_refused(tmp_path: Path) -> None:
    files = {name.replace("cat", "e\u0301t\u00e9").replace("dog", "\u00e9t\u00e9"): c for name, c in tree().items()}
    message = refused(write_zip(tmp_path / "a.zip", files))
    assert message.startswith("two folders of the training split are called été, in different bytes ('e\\u0301t\\xe9'")


def test_a_damaged_file_whose_name_is_no_utf8(tmp_path: Path) -> None:
    path = write_folder(tmp_path, tree())
    (path / "train" / "cat" / os.fsdecode(b"\xf6.png")).write_bytes(b"x")
    for _ in range(2):  # decoded, then from the cache
        with pytest.warns(UserWarning, match=r"the first is train/cat/\\xf6\.png: is no image in a known format"):
            assert len(load(path, skip_bad=True).train) == 6
