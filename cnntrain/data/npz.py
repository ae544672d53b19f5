"""Source `npz`: NumPy archives with x_train, y_train, x_test, y_test, as Keras distributes its data sets."""

from __future__ import annotations

import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.data.progress import Progress, silent
from cnntrain.data.settings import ClassNames, DataSettings
from cnntrain.data.source import ImageShape, Loaded, Source, Split, check_pair, checked_labels, classes_of, names_of
from cnntrain.errors import DataError

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_DEFLATE_LIMIT = 1032  # the best ratio that deflate can reach
_COLOURS = (1, 3, 4)  # grey, RGB, RGBA: a channel axis of another length makes us look twice
_CHUNK = 256  # images per check for NaN
# What zipfile and numpy.lib.format raise for damaged, encrypted or unknown content.
_READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


class NpzSettings(DataSettings):
    """Keys of `data: {source: npz, ...}`; `path` is the .npz file.

    Images are (N, H, W) for grey, or with a channel axis: last (N, H, W, C) as in Keras, or first (N, C, H, W) as in
    PyTorch. uint8 (0 to 255), or float16, float32 or float64 on any scale.
    """

    channels: Literal["last", "first"] = Field("last", description="Where the channel axis of the arrays is, if any.")
    class_names: ClassNames = Field(
        None, description="Names in the order of the labels; the labels themselves if none."
    )


class _Header(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype


class Npz(Source[NpzSettings]):
    """A NumPy archive; nothing in it is unpickled."""

    name = "npz"
    Settings = NpzSettings

    def __init__(self, settings: NpzSettings, progress: Progress = silent) -> None:
        super().__init__(settings, progress)
        self.path = Path(settings.path).expanduser()

    def describe(self) -> tuple[ImageShape, int]:
        with self._opened() as archive:
            shape = self._image_shape("x_train", self._header(archive, "x_train"))
            labels = self._labels(archive, "y_train")
        return shape, classes_of(labels, self.settings.class_names, f"{self.path}: y_train")

    def load(self) -> Loaded:
        with self._opened() as archive:
            y_train, y_test = self._labels(archive, "y_train"), self._labels(archive, "y_test")
            x_train, x_test = self._images(archive, "x_train"), self._images(archive, "x_test")
        classes = classes_of(y_train, self.settings.class_names, f"{self.path}: y_train")
        splits = []
        for images, labels, name in ((x_train, y_train, "train"), (x_test, y_test, "test")):
            check_pair(len(images), len(labels), f"{self.path}: x_{name}", f"y_{name}")
            splits.append(Split(images, checked_labels(labels, classes, f"{self.path}: y_{name}")))
        if x_train.shape[1:] != x_test.shape[1:]:
            raise DataError(
                f"{self.path}: x_train has images of shape {x_train.shape[1:]} (channels, rows, columns), x_test of "
                f"{x_test.shape[1:]}"
            )
        if x_train.dtype != x_test.dtype:
            raise DataError(f"{self.path}: x_train is {x_train.dtype}, x_test is {x_test.dtype}: they must be alike")
        return Loaded(splits[0], splits[1], names_of(classes, self.settings.class_names))

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        """Open the archive and check that it holds the four arrays; turn all failures into DataError."""
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
                members = archive.namelist()
                missing = [name for name in _ARRAYS if f"{name}.npy" not in members]
                if missing:
                    found = ", ".join(member.removesuffix(".npy") for member in members[:12]) or "nothing"
                    raise DataError(f"{path}: no array named {', '.join(missing)}; found {found}")
                yield archive
        except MemoryError:
            raise DataError(f"{path}: too large for the memory of this machine") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None

    def _archive(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except OSError:
            raise
        except _READ_ERRORS as error:
            raise DataError(f"{self.path}: not an .npz file, truncated or corrupt ({error})") from None

    def _header(self, archive: zipfile.ZipFile, name: str) -> _Header:
        """Shape and type of an array, compared with the sizes that the archive states, before anything is allocated."""
        entry = archive.getinfo(f"{name}.npy")
        where = f"{self.path}: {name}"
        try:
            with archive.open(entry) as stream:
                version = np.lib.format.read_magic(stream)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(stream)
                header = stream.tell()
        except _READ_ERRORS as error:
            raise DataError(f"{where}: corrupt, or not an array ({error})") from None
        if dtype.hasobject:
            raise DataError(
                f"{where}: holds Python objects (dtype {dtype}); they are refused because reading them runs code"
            )
        size = dtype.itemsize * math.prod(shape)
        if any(length <= 0 for length in shape):
            raise DataError(f"{where}: holds nothing: shape {shape}")
        if size != entry.file_size - header or size > _DEFLATE_LIMIT * max(entry.compress_size, 1):
            raise DataError(
                f"{where}: corrupt: its header announces shape {shape} of {dtype} = {size} bytes, but the archive has "
                f"{entry.file_size - header} ({entry.compress_size} compressed)"
            )
        return _Header(shape, dtype)

    def _read(self, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
        try:
            with archive.open(f"{name}.npy") as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)
        except _READ_ERRORS as error:
            raise DataError(f"{self.path}: {name}: corrupt ({error})") from None

    def _image_shape(self, name: str, header: _Header) -> ImageShape:
        """(channels, rows, columns) of the images; raises `DataError` when the array is no array of images."""
        where, shape, dtype = f"{self.path}: {name}", header.shape, header.dtype
        if dtype != np.uint8 and dtype.kind != "f":
            raise DataError(f"{where}: has dtype {dtype}; images must be uint8 (0 to 255) or floating point")
        if len(shape) == 3:
            return (1, shape[1], shape[2])
        if len(shape) != 4:
            raise DataError(
                f"{where}: has shape {shape}; images must be (N, rows, columns), or with `channels: last` "
                "(N, rows, columns, channels), or with `channels: first` (N, channels, rows, columns)"
            )
        first, last = shape[1], shape[3]
        here, there = (last, first) if self.settings.channels == "last" else (first, last)
        if here not in _COLOURS and there in _COLOURS:
            other = "first" if self.settings.channels == "last" else "last"
            raise DataError(
                f"{where}: shape {shape} read with `channels: {self.settings.channels}` means {here} channels; "
                f"set data.channels to {other}"
            )
        return (last, shape[1], shape[2]) if self.settings.channels == "last" else (first, shape[2], shape[3])

    def _images(self, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
        """Images as (N, C, H, W), uint8 or float32, C-contiguous, finite."""
        header = self._header(archive, name)
        shape = self._image_shape(name, header)
        images = self._read(archive, name)
        if images.ndim == 4 and self.settings.channels == "last":
            images = images.transpose(0, 3, 1, 2)
        dtype = np.uint8 if header.dtype == np.uint8 else np.float32
        with np.errstate(over="ignore"):  # too large for float32: becomes inf, reported below
            images = np.ascontiguousarray(images, dtype=dtype).reshape(-1, *shape)
        if dtype is np.float32:
            _check_finite(images, f"{self.path}: {name}")
        return images

    def _labels(self, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
        where = f"{self.path}: {name}"
        header = self._header(archive, name)
        shape = header.shape
        if header.dtype.kind not in "iu":
            raise DataError(f"{where}: has dtype {header.dtype}; labels must be whole numbers (an integer dtype)")
        if len(shape) != 1 and not (len(shape) == 2 and shape[1] == 1):
            hint = "; is it one-hot? save y.argmax(axis=1) instead" if len(shape) == 2 else ""
            raise DataError(f"{where}: has shape {shape}; labels must be (N,) or (N, 1){hint}")
        return self._read(archive, name).reshape(-1)


def _check_finite(images: NDArray[Any], where: str) -> None:
    for start in range(0, len(images), _CHUNK):
        finite = np.isfinite(images[start : start + _CHUNK])
        if not finite.all():
            image, channel, row, column = np.argwhere(~finite)[0]
            value = images[start + image, channel, row, column]
            raise DataError(
                f"{where}: pixel value {value} in image {start + image} (counted from 0) at channel {channel}, "
                f"row {row}, column {column}: images must be finite numbers within the range of float32"
            )
