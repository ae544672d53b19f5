from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from cnntrain.data import decoding
from cnntrain.data.decoded_cache import CacheIndex, cache_folder, read_index
from cnntrain.data.image_form import Form
from cnntrain.errors import DataError
from tests.data.pictures import encoded, load, pixels, tree, write_folder, write_zip


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the files that are decoded, one entry each."""
    calls: list[int] = []
    original = decoding.decode

    def counted(content: bytes, form: Form) -> np.ndarray:
        calls.append(len(content))
        return original(content, form)

    monkeypatch.setattr(decoding, "decode", counted)
    return calls


def entries() -> list[Path]:
    return sorted((cache_folder() / "decoded").iterdir())


def test_the_second_start_decodes_nothing(tmp_path: Path, decoded: list[int]) -> None:
    path = write_zip(tmp_path / "a.zip", tree())
    first = load(path)
    assert len(decoded) == 8
    again = load(path)
    assert len(decoded) == 8
    np.testing.assert_array_equal(again.train.images, first.train.images)
    assert [entry.suffix for entry in entries()] == [""]
    assert sorted(file.name for file in entries()[0].iterdir()) == ["index.json", "test.u8", "train.u8"]


def test_mapped_images_can_be_written_without_changing_the_cache(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", tree())
    images = load(path).train.images
    assert type(images) is np.ndarray  # kernels are compiled for this type
    assert images.flags.writeable
    before = images.copy()
    images[:] = 0
    np.testing.assert_array_equal(load(path).train.images, before)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_changed_source_is_decoded_again_and_replaces_the_old(tmp_path: Path, kind: str, decoded: list[int]) -> None:
    def write(files: dict[str, bytes]) -> Path:
        return write_folder(tmp_path / "a", files) if kind == "folder" else write_zip(tmp_path / "a.zip", files)

    path = write(tree())
    load(path)
    write(tree(**{"train/cat/0.png": encoded(pixels(77, 4, 6) // 2)}))
    later = path.stat().st_mtime + 10
    for name in (path, tmp_path / "a" / "train/cat/0.png"):
        if name.exists():
            os.utime(name, (later, later))
    images = load(path).train.images
    assert len(decoded) == 16
    np.testing.assert_array_equal(images[0], (pixels(77) // 2).transpose(2, 0, 1))
    assert len(entries()) == 1


def test_settings_have_entries_of_their_own(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", tree())
    assert load(path).train.images.shape[1:] == (3, 4, 6)
    assert load(path, color="grey").train.images.shape[1:] == (1, 4, 6)
    assert load(path, resize=[2, 2]).train.images.shape[1:] == (3, 2, 2)
    assert len(entries()) == 3


@pytest.mark.parametrize("damage", ["truncated", "index", "no index", "foreign index", "missing file"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    path = write_zip(tmp_path / "a.zip", tree())
    expected = load(path).train.images.copy()
    entry = entries()[0]
    index, train = entry / "index.json", entry / "train.u8"
    if damage == "truncated":
        train.write_bytes(train.read_bytes()[:-1])
    elif damage == "index":
        index.write_bytes(index.read_bytes()[:-10])
    elif damage == "no index":
        index.unlink()
    elif damage == "foreign index":
        index.write_text('{"source": "x", "shape": [3, 4, 6], "splits": {"../../../etc/passwd": {"labels": [1]}}}')
    else:
        train.unlink()
    with pytest.warns(
        UserWarning, match=f"{entry}: decoded images kept here are not what was written .*; decoding again"
    ):
        again = load(path).train.images
    np.testing.assert_array_equal(again, expected)
    assert train.stat().st_size == expected.size
    assert entries() == [entry]


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        load(write_zip(tmp_path / "a.zip", tree(**{"test/dog/0.png": b"x"})))
    assert entries() == []


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_full_disk_means_memory_and_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 10, 0))
    path = write_zip(tmp_path / "a.zip", tree())
    with pytest.warns(
        UserWarning, match=r"cannot be kept there \(576 bytes are needed, 0 are free\); they are kept in memory"
    ):
        assert len(load(path).train) == 6
    assert entries() == []


def test_a_cache_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CNNTRAIN_CACHE_DIR", str(tmp_path / "file"))
    path = write_zip(tmp_path / "a.zip", tree())
    with pytest.warns(UserWarning, match="decoded images cannot be kept there"):
        assert len(load(path).train) == 6


def test_unfinished_entries_of_dead_processes_are_removed(tmp_path: Path) -> None:
    old, young = (cache_folder() / "decoded" / f"{name}.part" for name in ("old", "young"))
    old.mkdir(parents=True)
    young.mkdir()
    os.utime(old, (0, 0))
    load(write_zip(tmp_path / "a.zip", tree()))
    assert not old.exists()
    assert young.exists()


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNTRAIN_CACHE_DIR", "/a")
    assert cache_folder() == Path("/a")
    monkeypatch.delenv("CNNTRAIN_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_folder() == Path("/b/cnntrain")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "cnntrain"


def forged(entry: Path, **changed: object) -> None:
    """Change an entry's index, with a digest of the index that is right."""
    index = json.loads((entry / "index.json").read_text()) | changed
    made = CacheIndex.model_validate_json(json.dumps(index))
    index["digest"] = made.own_digest()
    (entry / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("file", ["train.u8", "test.u8"])
def test_changed_pixels_are_not_used(tmp_path: Path, file: str) -> None:
    path = write_zip(tmp_path / "a.zip", tree())
    first = load(path)
    train, test = first.train.images.copy(), first.test.images.copy()
    entry = entries()[0]
    content = bytearray((entry / file).read_bytes())
    content[100] ^= 1
    (entry / file).write_bytes(content)
    with pytest.warns(UserWarning, match=f"not what was written \\({file} has another digest\\); decoding again"):
        again = load(path)
    np.testing.assert_array_equal(again.train.images, train)
    np.testing.assert_array_equal(again.test.images, test)
    assert len(load(path).train) == 6  # whole again: no warning


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"labels":[0,0,0,1,1,1]', '"labels":[0,0,1,1,1,1]'),
        ('"labels":[0,0,0,1,1,1]', '"labels":[0,0,0,1,1,9]'),  # ended in an IndexError
        ('"labels":[0,0,0,1,1,1]', '"labels":[0,0,0,1,1]'),
        ('"shape":[3,4,6]', '"shape":[3,6,4]'),
        ('"shape":[3,4,6]', '"shape":[6,4,3]'),
        ('"test":{', '"validation":{'),  # ended in a KeyError
        ('"skipped":[]', '"skipped":[["x","y"]]'),
    ],
)
def test_a_changed_index_is_not_used(tmp_path: Path, old: str, new: str) -> None:
    path = write_zip(tmp_path / "a.zip", tree())
    expected = load(path)
    index = entries()[0] / "index.json"
    text = index.read_text()
    assert old in text
    index.write_text(text.replace(old, new))
    with pytest.warns(UserWarning, match="not what was written .its index is damaged.; decoding again"):
        again = load(path)
    assert again.train.labels.tolist() == expected.train.labels.tolist()
    np.testing.assert_array_equal(again.train.images, expected.train.images)


def test_the_digest_of_a_split_is_over_its_pixels(tmp_path: Path) -> None:
    images = load(write_zip(tmp_path / "a.zip", tree())).train.images
    splits = json.loads((entries()[0] / "index.json").read_text())["splits"]
    assert splits["train"]["digest"] == hashlib.blake2b(np.ascontiguousarray(images).tobytes()).hexdigest()


def test_entries_of_other_settings_of_what_is_seen(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", tree())
    for keys in ({}, {"background": "black"}, {"white": 4095}):
        load(path, **keys)
    assert len(entries()) == 3


def test_an_index_with_a_right_digest_and_wrong_labels_cannot_be_read_beyond_its_pixels(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", tree())
    load(path)
    splits = json.loads((entries()[0] / "index.json").read_text())["splits"]
    splits["train"]["labels"].append(1)
    forged(entries()[0], splits=splits)
    with pytest.warns(UserWarning, match="train.u8 does not fit the index"):
        assert len(load(path).train) == 6


def test_a_source_whose_name_is_no_utf8(tmp_path: Path) -> None:
    path = write_folder(tmp_path / os.fsdecode(b"p\xf6ts"), tree())
    (tmp_path / "link").symlink_to(path)
    load(tmp_path / "link")
    index = read_index(entries()[0])
    assert index is not None
    assert index.path == path
