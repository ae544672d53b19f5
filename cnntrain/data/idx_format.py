"""The IDX format of the MNIST files: strict reading, plain or gzip.

    byte 0-1   zero
    byte 2     type of the values (8 = unsigned byte)
    byte 3     number of dimensions d
    4 d bytes  the dimensions, big-endian 32-bit
    the rest   the values, the last dimension varying fastest

Format by LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/. Nothing is allocated on a header's word: memory
grows with the data that really arrive, and never beyond what the header announced.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from cnntrain.data import read_ahead
from cnntrain.data.files import refuse_other_than_files
from cnntrain.errors import DataError

_TYPES = {8: "unsigned byte", 9: "signed byte", 11: "short", 12: "int", 13: "float", 14: "double"}
_UNSIGNED_BYTE = 8
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_DEFLATE_LIMIT = 1032  # the best ratio that deflate can reach (zlib technical details): more is a lie or a bomb
_LOOKS_LIKE = [
    (_GZIP, "a gzip file inside a gzip file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x93NUMPY", "a NumPy .npy file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF document"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"\x80\x04", "a Python pickle"),
    (b"version https://git-lfs", "a Git LFS pointer: run `git lfs pull`"),
]


def read_idx_header(path: Path, dimensions: int) -> tuple[int, ...]:
    """Return the shape that an IDX file's header announces, after comparing it with the size of the file.

    Parameters
    ----------
    path : Path
        The file, plain or gzip (recognised by its first bytes, not by its name).
    dimensions : int
        How many dimensions there must be: 3 for images, 1 for labels.

    Raises
    ------
    DataError
        The file cannot be read, is no IDX file of unsigned bytes, or cannot hold what it announces.
    """
    with _opened(path) as (stream, compressed):
        return _header(stream, path, dimensions, compressed)


def begin_to_read(*paths: Path) -> None:
    """Begin to decompress IDX files of images, which `read_idx` will read."""

    def announced(path: Path) -> int:
        return 16 + math.prod(read_idx_header(path, 3))

    read_ahead.begin(paths, announced)


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Parameters
    ----------
    path, dimensions
        As for `read_idx_header`.

    Returns
    -------
    ndarray of uint8, C-contiguous
        (images, rows, columns) or (labels,).

    Raises
    ------
    DataError
        As for `read_idx_header`; also when the file is truncated, corrupt, or longer than announced.
    """
    with _opened(path, read_ahead.take(path)) as (stream, compressed):
        shape = _header(stream, path, dimensions, compressed)
        size = math.prod(shape)
        data = bytearray()
        while len(data) < size and (chunk := stream.read(min(_CHUNK, size - len(data)))):
            data += chunk
        if len(data) < size:
            raise DataError(
                f"{path}: truncated: its header announces {_times(shape)} = {size} values, only {len(data)} are there"
            )
        if stream.read(1):  # for gzip this also compares the checksum
            raise DataError(
                f"{path}: longer than its header says ({_times(shape)} = {size} values): not a valid IDX file"
            )
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


@contextmanager
def _opened(path: Path, content: bytes | None = None) -> Iterator[tuple[BinaryIO, bool]]:
    """Give a stream of the (uncompressed) bytes, and whether they were compressed; turn all failures into DataError.

    `content` is what was decompressed already.
    """
    if content is not None:
        yield io.BytesIO(content), True
        return
    try:
        refuse_other_than_files(path)
        with path.open("rb") as file:
            start = file.read(len(_GZIP))
            file.seek(0)
            if start != _GZIP:
                yield file, False
                return
            with gzip.GzipFile(fileobj=file) as stream:
                yield cast(BinaryIO, stream), True
    except FileNotFoundError:
        raise DataError(f"{path}: no such file (looked for {path.resolve()})") from None
    except EOFError:
        raise DataError(f"{path}: truncated gzip file ({path.stat().st_size} bytes): fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: corrupt gzip file ({error}): fetch it again") from None
    except MemoryError:
        raise DataError(f"{path}: too large for the memory of this machine") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _header(stream: BinaryIO, path: Path, dimensions: int, compressed: bool) -> tuple[int, ...]:
    magic = stream.read(4)
    if not magic:
        raise DataError(f"{path}: empty" + (" (a gzip file with nothing in it)" if compressed else " (0 bytes)"))
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or magic[3] == 0:
        start = magic + stream.read(60)
        raise DataError(f"{path}: not an IDX file: {_looks_like(start)}")
    if magic[2] != _UNSIGNED_BYTE:
        raise DataError(
            f"{path}: holds values of type {_TYPES[magic[2]]}; only unsigned bytes are supported "
            "(the npz source takes float images)"
        )
    if magic[3] != dimensions:
        kind = "images have 3 (images, rows, columns)" if dimensions == 3 else "labels have 1"
        swapped = {1: "; is this a file of labels?", 3: "; is this a file of images?"}.get(magic[3], "")
        raise DataError(f"{path}: has {magic[3]} dimensions, but {kind}{swapped}")
    lengths = stream.read(4 * dimensions)
    if len(lengths) < 4 * dimensions:
        raise DataError(f"{path}: truncated: ends within its header")
    shape = tuple(int.from_bytes(lengths[i : i + 4], "big") for i in range(0, len(lengths), 4))
    _check_size(path, shape, header=4 + len(lengths), compressed=compressed)
    return shape


def _check_size(path: Path, shape: tuple[int, ...], header: int, compressed: bool) -> None:
    """Compare what a header announces with the size on disk, before anything is allocated."""
    size, on_disk = math.prod(shape), path.stat().st_size
    announced = f"its header announces {_times(shape)} = {size} values"
    if size == 0:
        raise DataError(f"{path}: holds nothing: {announced}")
    if compressed and size > _DEFLATE_LIMIT * on_disk:
        raise DataError(f"{path}: {announced}, more than {on_disk} compressed bytes can hold: corrupt header?")
    if not compressed and size != on_disk - header:
        wrong = "truncated or corrupt" if size > on_disk - header else "longer than its header says"
        raise DataError(f"{path}: {wrong}: {announced}, but after the header there are {on_disk - header} bytes")


def _looks_like(start: bytes) -> str:
    for signature, kind in _LOOKS_LIKE:
        if start.startswith(signature):
            return f"it looks like {kind}"
    text = start.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        return "it looks like a web page (HTML), as a server sends when the file has moved: fetch it from another place"
    if start.isascii() and all(byte >= 32 or byte in b"\t\r\n" for byte in start):
        return f"it looks like text ({start[:40].decode('ascii')!r})"
    return f"it begins with the bytes {start[:4].hex(' ')}; expected 00 00 08 03 (images) or 00 00 08 01 (labels)"


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
