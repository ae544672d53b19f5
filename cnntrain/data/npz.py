"""Source `npz`: NumPy archives with x_train, y_train, x_test, y_test, as Keras distributes its data sets."""

from __future__ import annotations

import lzma
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.arrays import ArraySettings, ArraySource, Header
from cnntrain.errors import DataError

_DEFLATE_LIMIT = 1032  # the best ratio that deflate can reach
# What zipfile and numpy.lib.format raise for damaged, encrypted or unknown content.
READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


def read_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, Fortran order and dtype from the beginning of an .npy file; raises one of `READ_ERRORS`."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that Python 2 wrote, and of old names of types
            return read(stream)
    except OSError:
        raise
    except Exception as error:  # of the parser of Python literals: TokenError, MemoryError, TypeError...
        reason = error.args[0] if error.args else ""
        raise ValueError(str(reason) or type(error).__name__) from None


def read_values(read: Callable[..., Any], *arguments: Any, **keys: Any) -> Any:
    """Call a reader of NumPy's, which would warn again of what `read_header` has passed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read(*arguments, allow_pickle=False, **keys)


class NpzSettings(ArraySettings):
    """Keys of `data: {source: npz, ...}`; `path` is the .npz file.

    It holds x_train, y_train, x_test, y_test, and perhaps x_validation and y_validation (or x_val, x_valid). Images are
    (N, H, W) for grey, or with a channel axis: last (N, H, W, C) as in Keras, or first (N, C, H, W) as in PyTorch.
    uint8 (0 to 255), or float16, float32 or float64 on any scale.
    """


class Npz(ArraySource):
    """A NumPy archive; nothing in it is unpickled."""

    name = "npz"
    Settings = NpzSettings

    @contextmanager
    def opened(self) -> Iterator[Mapping[str, Any]]:
        """Open the archive; turn all failures into DataError."""
        path = self.path
        try:
            if not path.exists():
                raise DataError(
                    f"{path}: no such file (looked for {path.resolve()}); expected an .npz file, set data.path"
                )
            if not path.is_file():
                raise DataError(f"{path}: is not a file; data.path must be the .npz file itself")
            if path.stat().st_size == 0:
                raise DataError(f"{path}: empty (0 bytes)")
            with self._archive() as archive:
                self.check_names([member.removesuffix(".npy") for member in archive.namelist()])
                yield _Members(archive)
        except MemoryError:
            raise DataError(f"{path}: too large for the memory of this machine") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None

    def _archive(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except OSError:
            raise
        except READ_ERRORS as error:
            raise DataError(f"{self.path}: not an .npz file, truncated or corrupt ({error})") from None

    def header(self, arrays: Mapping[str, Any], name: str) -> Header:
        entry: zipfile.ZipInfo = arrays[name]
        where = self.where(name)
        try:
            with _archive_of(arrays).open(entry) as stream:
                shape, _, dtype = read_header(stream)
                header_size = stream.tell()
        except READ_ERRORS as error:
            raise DataError(f"{where}: corrupt, or not an array ({error})") from None
        header = Header(shape, dtype)
        self.check_header(name, header)
        size, there = dtype.itemsize * math.prod(shape), entry.file_size - header_size
        if size != there or size > _DEFLATE_LIMIT * max(entry.compress_size, 1):
            raise DataError(
                f"{where}: corrupt: its header announces shape {shape} of {dtype} = {size} bytes, but the archive has "
                f"{there} ({entry.compress_size} compressed)"
            )
        return header

    def read(self, arrays: Mapping[str, Any], name: str) -> NDArray[Any]:
        try:
            with _archive_of(arrays).open(arrays[name]) as stream:
                return read_values(np.lib.format.read_array, stream)
        except READ_ERRORS as error:
            raise DataError(f"{self.where(name)}: corrupt ({error})") from None

    def images(self, arrays: Mapping[str, Any], name: str) -> NDArray[Any]:
        """Images as (N, C, H, W), uint8 or float32, C-contiguous, finite."""
        header = self.header(arrays, name)
        shape = self.image_shape(name, header)
        images = self.read(arrays, name)
        if images.ndim == 4 and self.settings.channels == "last":
            images = images.transpose(0, 3, 1, 2)
        dtype = np.uint8 if header.dtype == np.uint8 else np.float32
        with np.errstate(over="ignore"):  # too large for float32: becomes inf, reported below
            images = np.ascontiguousarray(images, dtype=dtype).reshape(-1, *shape)
        if dtype is np.float32:
            self.check_finite(images, name)
        return images

    def where(self, name: str) -> str:
        return f"{self.path}: {name}"


class _Members(dict[str, zipfile.ZipInfo]):
    """The members of an archive by the names of their arrays."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        super().__init__({entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()})
        self.archive = archive


def _archive_of(arrays: Mapping[str, Any]) -> zipfile.ZipFile:
    assert isinstance(arrays, _Members)  # made by `opened`; for mypy
    return arrays.archive
