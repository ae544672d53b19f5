from __future__ import annotations

import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnntrain.data import describe
from cnntrain.data.images import LazyImages
from cnntrain.errors import ConfigError, DataError
from tests.data.files import settings
from tests.data.pictures import encoded, load, pixels, tree, write_folder, write_zip


def made(kind: str, path: Path, files: dict[str, bytes]) -> Path:
    return write_folder(path / "pets", files) if kind == "folder" else write_zip(path / "pets.zip", files)


def refused(path: Path, **keys: object) -> str:
    with pytest.raises(DataError) as caught:
        load(path, **keys)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("storage", ["cache", "memory", "stream"])
def test_pixels_labels_and_class_names(tmp_path: Path, kind: str, storage: str) -> None:
    path = made(kind, tmp_path, tree())
    data = load(path, storage=storage)
    assert data.class_names == ["cat", "dog"]
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.train.images.shape == (6, 3, 4, 6)
    expected = np.stack([pixels(seed).transpose(2, 0, 1) for seed in (0, 10, 20, 1, 11, 21)])
    np.testing.assert_array_equal(data.train.images[np.arange(6)], expected)
    np.testing.assert_array_equal(data.test.images[np.array([1])][0], pixels(101).transpose(2, 0, 1))
    assert isinstance(data.train.images, LazyImages) == (storage == "stream")
    assert describe(settings(source="folder", path=path)) == ((3, 4, 6), 2)


def test_grey_and_rgb_files_become_what_is_asked_for(tmp_path: Path) -> None:
    grey = pixels(5, channels=1)
    path = write_folder(tmp_path, tree(**{"train/cat/0.png": encoded(grey)}))
    np.testing.assert_array_equal(load(path).train.images[0], np.stack([grey] * 3))
    as_grey = load(path, color="grey").train.images
    assert as_grey.shape == (6, 1, 4, 6)
    np.testing.assert_array_equal(as_grey[0, 0], grey)
    luma = np.asarray(Image.fromarray(pixels(10)).convert("L"))
    np.testing.assert_array_equal(as_grey[1, 0], luma)


def test_palette_transparency_and_jpeg(tmp_path: Path) -> None:
    transparent = np.dstack([pixels(5), np.full((4, 6), 7, np.uint8)])
    palette = Image.fromarray(pixels(6)).convert("P")
    files = tree(
        **{"train/cat/0.png": encoded(transparent), "train/cat/1.png": encoded(np.asarray(palette.convert("RGB")))}
    )
    files["train/cat/2.JPG"] = encoded(pixels(7), "JPEG", quality=75)
    images = load(write_folder(tmp_path, files)).train.images
    covered = np.round((transparent[..., :3] * 7.0 + 255.0 * 248) / 255)  # alpha 7 of 255, over white
    assert np.abs(images[0] - covered.transpose(2, 0, 1)).max() <= 1
    np.testing.assert_array_equal(images[1], np.asarray(palette.convert("RGB")).transpose(2, 0, 1))
    assert images.shape[0] == 7


def test_resize(tmp_path: Path) -> None:
    files = tree(**{"train/cat/0.png": encoded(pixels(5, 9, 5))})
    path = write_folder(tmp_path, files)
    images = load(path, resize=[8, 3]).train.images
    assert images.shape == (6, 3, 8, 3)
    expected = Image.fromarray(pixels(5, 9, 5)).resize((3, 8), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(images[0], np.asarray(expected).transpose(2, 0, 1))
    assert load(path, resize=5).train.images.shape == (6, 3, 5, 5)


def test_differing_sizes_are_refused_with_the_file(tmp_path: Path) -> None:
    path = write_folder(tmp_path, tree(**{"train/dog/1.png": encoded(pixels(5, 9, 5))}))
    for storage in ("cache", "memory"):
        message = refused(path, storage=storage, skip_bad=True)
        assert message == (
            f"{path}/train/dog/1.png: has 9x5 pixels (rows x columns), but the first training image has 4x6: set "
            "data.resize: [rows, columns] to scale all images to one size"
        )


def test_a_validation_split_of_its_own(tmp_path: Path) -> None:
    path = write_folder(tmp_path, tree(**{"val/dog/x.png": encoded(pixels(7))}))
    data = load(path)
    assert data.split("validation").labels.tolist() == [1]
    assert len(data.train) == 6
    with pytest.raises(
        ConfigError, match="bring a validation split of their own \\(1 images\\): leave data.validation at 0"
    ):
        load(path, validation=2)


def test_held_out_validation_of_streamed_images(tmp_path: Path) -> None:
    path = write_folder(tmp_path, tree())
    kept, streamed = load(path, validation=2), load(path, validation=2, storage="stream")
    for name in ("train", "validation"):
        np.testing.assert_array_equal(streamed.split(name).images[:], kept.split(name).images)
    np.testing.assert_array_equal(streamed.normalization.mean, kept.normalization.mean)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_outer_folder_nested_folders_and_clutter(tmp_path: Path, kind: str) -> None:
    files = {f"data/{name}": content for name, content in tree(**{"train/cat/more/9.png": encoded(pixels(9))}).items()}
    files |= {"__MACOSX/data/train/cat/._0.png": b"x", "data/train/.DS_Store": b"x", "data/train/cat/Thumbs.db": b"x"}
    files["data/README.txt"] = b"about"
    assert len(load(made(kind, tmp_path, files)).train) == 7


def test_other_files_are_counted(tmp_path: Path) -> None:
    path = write_folder(tmp_path, tree(**{"train/cat/notes.txt": b"hm", "train/readme.md": b"x"}))
    with pytest.warns(
        UserWarning, match="ignored 2 files that are no image files in a class's folder; the first is train/cat/"
    ):
        load(path)


def damaged() -> dict[str, tuple[bytes, str]]:
    jpeg, png = encoded(pixels(1), "JPEG"), encoded(pixels(1))
    bomb = png[:16] + struct.pack(">II", 60_000, 60_000) + png[24:29]
    bomb += struct.pack(">I", zlib.crc32(bomb[12:29])) + png[33:]
    return {
        "empty": (b"", "is empty (0 bytes)"),
        "html": (b"<!doctype html><p>moved", "is text or a web page (23 bytes)"),
        "noise": (bytes(range(256)), "is no image in a known format (256 bytes)"),
        "truncated PNG": (png[:60], "is damaged ("),
        "truncated JPEG": (jpeg[:-20], "is damaged ("),
        "PNG that announces billions": (bomb, "60000"),
        "PostScript": (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 6\n%%EndComments\n",
            "is no image in a known format",
        ),
    }


@pytest.mark.parametrize("name", damaged())
@pytest.mark.filterwarnings("error")
def test_one_bad_file_is_named(tmp_path: Path, name: str) -> None:
    content, reason = damaged()[name]
    path = write_folder(tmp_path, tree(**{"train/dog/1.png": content}))
    for keys in ({}, {"resize": 4}, {"storage": "memory"}):
        message = refused(path, **keys)
        assert message.startswith(f"{path}/train/dog/1.png: ")
        assert reason in message or "resize" in keys
        assert message.endswith(
            "; remove it, or set data.skip_bad: true to go on without such files (cnntrain data inspect lists them all)"
        )


@pytest.mark.parametrize("storage", ["cache", "memory"])
def test_bad_files_may_be_skipped_and_are_counted(tmp_path: Path, storage: str) -> None:
    path = write_zip(
        tmp_path / "a.zip", tree(**{"train/cat/0.png": b"", "train/dog/1.png": b"x", "test/dog/0.png": b""})
    )
    for _ in range(2):  # decoded, then from the cache
        with pytest.warns(UserWarning, match="skipped") as caught:
            data = load(path, skip_bad=True, storage=storage)
        assert [str(warning.message) for warning in caught] == [
            f"{path}: skipped 2 of 6 files of the train split; the first is train/cat/0.png: is empty (0 bytes)",
            f"{path}: skipped 1 of 2 files of the test split; the first is test/dog/0.png: is empty (0 bytes)",
        ]
        assert data.train.labels.tolist() == [0, 0, 1, 1]
        expected = np.stack([pixels(seed).transpose(2, 0, 1) for seed in (10, 20, 1, 21)])
        np.testing.assert_array_equal(data.train.images, expected)
        assert len(data.test) == 1


def test_nothing_left_after_skipping(tmp_path: Path) -> None:
    bad = {"test/cat/0.png": b"", "test/dog/0.png": b""}
    message = refused(write_folder(tmp_path / "a", tree(**bad)), skip_bad=True)
    assert message.endswith("none of the 2 files of the test split can be read")
    bad = {f"train/{kind}/{n}.png": b"x" for kind in ("cat", "dog") for n in range(3)}
    assert "none of the 6 training images can be read" in refused(
        write_folder(tmp_path / "b", tree(**bad)), skip_bad=True
    )


def test_streaming_with_bad_files(tmp_path: Path) -> None:
    path = write_folder(tmp_path, tree(**{"train/dog/1.png": b"x"}))
    with pytest.raises(ConfigError, match=r"data\.skip_bad: true needs to know the bad files before training starts"):
        load(path, storage="stream", skip_bad=True)
    images = load(path, storage="stream", normalize="unit").train.images
    with pytest.raises(DataError, match="train/dog/1.png: is no image in a known format"):
        images[np.array([0, 4])]


def test_missing_parts(tmp_path: Path) -> None:
    gone = refused(tmp_path / "gone")
    assert gone.startswith(f"{tmp_path}/gone: no such folder or zip file (looked for ")
    files = {name: content for name, content in tree().items() if name.startswith("train")}
    message = refused(write_folder(tmp_path / "a", files))
    assert message.startswith(
        f"{tmp_path}/a: no image files in test/<class>/; found 6 images of the train split; set data.test: 0.2 to "
        "take a fifth of them, by content; expected train/<class>/"
    )
    message = refused(write_folder(tmp_path / "b", tree(**{"test/bird/1.png": encoded(pixels(1))})))
    assert message == (
        f"{tmp_path}/b/test/bird/1.png: the test split has a class that the training split has not: bird; "
        "classes are cat, dog"
    )
    (tmp_path / "text").write_text("hello")
    assert re.search("text: not a zip file, truncated or corrupt", refused(tmp_path / "text"))


def test_truncated_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", tree())
    path.write_bytes(path.read_bytes()[:-30])
    assert "not a zip file, truncated or corrupt" in refused(path)


def test_zip_with_a_damaged_member(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", tree(), zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.index(tree()["train/dog/2.png"]) + 50] ^= 1
    path.write_bytes(content)
    assert "a.zip: train/dog/2.png: is corrupt in the archive (Bad CRC-32" in refused(path)


def lying(path: Path, name: str, size: int) -> None:
    """Make the directory of an archive announce another size for a member."""
    with zipfile.ZipFile(path) as archive:
        actual = archive.getinfo(name).file_size
    content = bytearray(path.read_bytes())
    at = content.rindex(name.encode())  # in the central directory
    assert content[at - 46 : at - 42] == b"PK\x01\x02"
    assert struct.unpack("<I", content[at - 22 : at - 18])[0] == actual
    content[at - 22 : at - 18] = struct.pack("<I", size)
    path.write_bytes(content)


def test_zip_bombs_are_refused_by_announced_and_by_actual_size(tmp_path: Path) -> None:
    zeros = write_zip(tmp_path / "zeros.zip", tree(**{"train/dog/1.png": bytes(300_000_000)}))
    assert "train/dog/1.png: has 300,000,000 bytes, at most 268,435,456 are allowed" in refused(zeros)
    lying(zeros, "train/dog/1.png", 1000)  # stops at what was announced
    assert "train/dog/1.png: is corrupt in the archive (Bad CRC-32" in refused(zeros)
    small = write_zip(tmp_path / "small.zip", tree())
    lying(small, "train/dog/1.png", 0xFFFFFFF0)
    assert "small.zip: refused: its directory announces 4,294," in refused(small)
    lying(small, "train/dog/1.png", 1_000_000)
    assert "train/dog/1.png: announces 1,000,000 bytes from" in refused(small)


def test_encrypted_and_unusual_members(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "bz.zip", tree(), zipfile.ZIP_BZIP2)
    assert "train/cat/0.png: is packed with another method than deflate" in refused(path)
    path = write_zip(tmp_path / "enc.zip", tree())
    content = bytearray(path.read_bytes())
    at = content.rindex(b"train/dog/2.png") - 46
    content[at + 8] |= 1
    path.write_bytes(content)
    assert "train/dog/2.png: is encrypted" in refused(path)


def test_names_cannot_confuse_a_terminal(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", tree(**{"train/\x1b[2Jcat/0.png": b"x"}))
    message = refused(path)
    assert "\x1b" not in message
    assert "train/\\x1b[2Jcat/0.png" in message


def test_names_that_lead_elsewhere_are_only_names(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", tree(**{"../../escaped.png": b"x", "/etc/escaped.png": b"x"}))
    assert len(load(path).train) == 6
    assert not list(tmp_path.parent.glob("escaped.png"))
