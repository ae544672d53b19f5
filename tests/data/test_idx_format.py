from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from cnntrain.data.idx_format import read_idx, read_idx_header
from cnntrain.errors import DataError

PIXELS = bytes(range(12))


def header(*lengths: int, kind: int = 8) -> bytes:
    return struct.pack(f">BBBB{len(lengths)}I", 0, 0, kind, len(lengths), *lengths)


IMAGES = header(2, 3, 2) + PIXELS


def write(folder: Path, content: bytes, name: str = "images") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def refused(path: Path, dimensions: int = 3) -> str:
    with pytest.raises(DataError) as caught:
        read_idx(path, dimensions)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def zipped(content: bytes) -> bytes:
    """Compress without the time of day, which would be part of the test's name."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_values_are_read_with_the_last_dimension_fastest(tmp_path: Path, compress: type[bytes]) -> None:
    path = write(tmp_path, compress(IMAGES))
    images = read_idx(path, 3)
    assert images.tolist() == [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]]
    assert images.dtype == np.uint8
    assert images.flags.c_contiguous
    assert read_idx_header(path, 3) == (2, 3, 2)


def test_labels(tmp_path: Path) -> None:
    assert read_idx(write(tmp_path, header(3) + bytes([7, 0, 255])), 1).tolist() == [7, 0, 255]


def test_gzip_in_several_members(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(IMAGES[:20]) + gzip.compress(IMAGES[20:]))
    assert read_idx(path, 3).tobytes() == PIXELS


def test_larger_than_one_chunk(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 256, (3, 700, 701), dtype=np.uint8)
    path = write(tmp_path, gzip.compress(header(3, 700, 701) + values.tobytes(), 1))
    np.testing.assert_array_equal(read_idx(path, 3), values)


def test_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(Path("nowhere")) == f"no such file (looked for {tmp_path / 'nowhere'})"


def test_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert refused(tmp_path) == "is a folder, not a file"


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path, IMAGES)
    monkeypatch.setattr(Path, "open", deny)  # not chmod: root may read everything
    assert refused(path) == "cannot be read: Permission denied"


def test_more_than_the_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        raise MemoryError

    path = write(tmp_path, gzip.compress(IMAGES))
    monkeypatch.setattr(gzip.GzipFile, "read", exhausted)
    assert refused(path) == "too large for the memory of this machine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty (0 bytes)"),
        (zipped(b""), "empty (a gzip file with nothing in it)"),
        (b"\0\0", "not an IDX file: it begins with the bytes 00 00; expected 00 00 08 03 (images)"),
        (
            b"\x12\x34\x08\x03" + b"\xff" * 20,
            "not an IDX file: it begins with the bytes 12 34 08 03; expected 00 00 08 03",
        ),
        (b"\n<!DOCTYPE html><html>", "not an IDX file: it looks like a web page (HTML)"),
        (zipped(b"<html>404</html>"), "not an IDX file: it looks like a web page (HTML)"),
        (b'{"error": 404}', "not an IDX file: it looks like text ('{\"error\": 404}')"),
        (b"PK\x03\x04....", "not an IDX file: it looks like a zip archive"),
        (zipped(zipped(IMAGES)), "not an IDX file: it looks like a gzip file inside a gzip file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it looks like a Git LFS pointer: run `git lfs pull`"),
        (header(2, 3, 2, kind=13) + PIXELS, "holds values of type float; only unsigned bytes are supported"),
        (header(2, 3, 2, kind=7) + PIXELS, "not an IDX file"),
        (b"\0\0\x08\0" + PIXELS, "not an IDX file"),
        (header(12) + PIXELS, "has 1 dimensions, but images have 3 (images, rows, columns); is this a file of labels?"),
        (header(2, 3, 2)[:9], "truncated: ends within its header"),
        (header(0, 3, 2), "holds nothing: its header announces 0 x 3 x 2 = 0 values"),
        (
            IMAGES[:-1],
            "truncated or corrupt: its header announces 2 x 3 x 2 = 12 values, but after the header there are 11",
        ),
        (
            IMAGES + b"\0",
            "longer than its header says: its header announces 2 x 3 x 2 = 12 values, but after the header",
        ),
        (zipped(IMAGES[:-1]), "truncated: its header announces 2 x 3 x 2 = 12 values, only 11 are there"),
        (zipped(IMAGES + b"\0"), "longer than its header says (2 x 3 x 2 = 12 values)"),
    ],
)
def test_refused(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refused(write(tmp_path, content))


def test_images_given_as_labels(tmp_path: Path) -> None:
    message = refused(write(tmp_path, IMAGES), dimensions=1)
    assert message == "has 3 dimensions, but labels have 1; is this a file of images?"


@pytest.mark.parametrize("cut", [1, 5, 9, 15, 25])
def test_truncated_gzip(tmp_path: Path, cut: int) -> None:
    content = gzip.compress(IMAGES)
    path = write(tmp_path, content[:-cut])
    assert refused(path) == f"truncated gzip file ({len(content) - cut} bytes): fetch it again"


def test_gzip_with_a_wrong_checksum(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(IMAGES))
    content[-8] ^= 1
    assert refused(write(tmp_path, bytes(content))).startswith("corrupt gzip file (CRC check failed")


def test_gzip_with_corrupt_data(tmp_path: Path) -> None:
    content = gzip.compress(IMAGES)
    path = write(tmp_path, content[:10] + b"\xff" * 20 + content[-8:])
    assert refused(path).startswith("corrupt gzip file (Error -3 while decompressing data")


def test_gzip_followed_by_something_else(tmp_path: Path) -> None:
    assert refused(write(tmp_path, gzip.compress(IMAGES) + b"<html>")).startswith(
        "corrupt gzip file (Not a gzipped file"
    )


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_oversized_header_is_refused_before_anything_is_allocated(tmp_path: Path, compress: type[bytes]) -> None:
    lengths = (4_294_967_295, 65_535, 65_535)
    path = write(tmp_path, compress(header(*lengths) + PIXELS))
    with pytest.raises(DataError, match="its header announces 4294967295 x 65535 x 65535"):
        read_idx_header(path, 3)
    assert f"= {math.prod(lengths)} values" in refused(path)


def test_decompression_bomb_stops_at_the_announced_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    content = compressor.compress(header(2, 3, 2))
    for _ in range(64):
        content += compressor.compress(bytes(1 << 20))
    path = write(tmp_path, content + compressor.flush())
    read: list[int] = []
    original = gzip.GzipFile.read

    def count(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        data = original(self, size)
        read.append(len(data))
        return data

    monkeypatch.setattr(gzip.GzipFile, "read", count)
    assert refused(path).startswith("longer than its header says")
    assert sum(read) == len(IMAGES) + 1


def test_every_truncation_and_every_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    """Nothing but a DataError or the right values comes out of a damaged file."""
    content = gzip.compress(IMAGES, mtime=0)
    damaged = [content[:end] for end in range(len(content))]
    damaged += [content[:i] + bytes([content[i] ^ 0xFF]) + content[i + 1 :] for i in range(len(content))]
    survived = 0
    for data in damaged:
        path = write(tmp_path, data)
        try:
            assert read_idx(path, 3).tobytes() == PIXELS
        except DataError:
            continue
        survived += 1
    assert survived <= 6  # only the bytes of gzip's header that carry no data (time, system)
