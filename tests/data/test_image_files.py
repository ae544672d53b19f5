from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from cnntrain.data.image_files import DirectoryFiles, ZipFiles
from cnntrain.errors import DataError
from tests.data.pictures import load, tree, write_folder, write_zip


def test_a_folder_on_the_way_down_is_not_entered_again(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "above" / "pets", tree())
    write_folder(tmp_path / "above", {"other/1.png": b"x"})
    for name, target in (("up", ".."), ("top", "../.."), ("over", "../../.."), ("itself", ".")):
        (path / "train" / "cat" / name).symlink_to(target)
    files = DirectoryFiles(path)
    assert len(files.names) == 8
    assert sorted(files.left_out) == [
        f"train/cat/{name} is a link to a folder above it" for name in ("itself", "over", "top", "up")
    ]
    with pytest.warns(UserWarning, match="left out 4 links and folders; the first: train/cat/"):
        assert load(path).train.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_links_to_folders_elsewhere_are_followed(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "pets", tree())
    write_folder(tmp_path / "more", {"9.png": tree()["train/cat/0.png"]})
    (path / "train" / "cat" / "more").symlink_to(tmp_path / "more")
    (path / "train" / "dog" / "more").symlink_to(tmp_path / "more")
    assert load(path).train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_links_that_lead_nowhere_and_pipes(tmp_path: Path) -> None:
    path = write_folder(tmp_path, tree())
    (path / "train" / "gone").symlink_to("nowhere")
    (path / "train" / "loop.png").symlink_to("loop.png")
    os.mkfifo(path / "train" / "cat" / "pipe.png")
    files = DirectoryFiles(path)
    assert len(files.names) == 8
    assert sorted(text.partition(":")[0] for text in files.left_out) == ["train/gone", "train/loop.png"]


def test_backslashes_of_a_zip_archive_are_slashes(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {name.replace("/", "\\"): content for name, content in tree().items()})
    assert ZipFiles(path).names == sorted(tree())
    assert load(path).class_names == ["cat", "dog"]
    twice = write_zip(tmp_path / "b.zip", tree() | {"train\\cat\\0.png": b"x"})
    with pytest.raises(DataError, match=r"holds train/cat/0\.png twice"):
        ZipFiles(twice)


def test_a_member_without_a_name_is_left_out(tmp_path: Path) -> None:
    """Python's ZipInfo.is_dir ended in an IndexError."""
    local = b"PK\x03\x04" + b"\x14\0" + bytes(24)
    directory = b"PK\x01\x02" + b"\x14\0\x14\0" + bytes(38)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(directory), len(local), 0)
    (tmp_path / "a.zip").write_bytes(local + directory + end)
    assert ZipFiles(tmp_path / "a.zip").names == []
    with pytest.raises(DataError, match="no image files in train/<class>/"):
        load(tmp_path / "a.zip")


def test_the_fingerprint_of_an_archive_depends_on_its_content(tmp_path: Path) -> None:
    a = write_zip(tmp_path / "a.zip", {"train/cat/0.png": b"aaaa"}, 0)
    first = ZipFiles(a).fingerprint()
    status = a.stat()
    write_zip(a, {"train/cat/0.png": b"bbbb"}, 0)
    os.utime(a, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert a.stat().st_size == status.st_size
    assert ZipFiles(a).fingerprint() != first
