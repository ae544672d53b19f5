"""Source `npy`: a folder of NumPy files, mapped into memory, so that they may be larger than it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.arrays import ArraySettings, ArraySource, Header
from cnntrain.data.files import refuse_other_than_files
from cnntrain.data.images import LazyLayout
from cnntrain.data.npz import READ_ERRORS, read_header, read_values
from cnntrain.errors import DataError

_CONTIGUOUS = "save np.ascontiguousarray(array) instead"


class NpySettings(ArraySettings):
    """Keys of `data: {source: npy, ...}`; `path` is a folder with x_train.npy, y_train.npy, x_test.npy, y_test.npy.

    Perhaps also x_validation.npy and y_validation.npy (or x_val, x_valid). Arrays as for `npz`. Images stay on disk
    until they are used. Quickest are uint8 or float32 images (N, H, W), or (N, C, H, W) with `channels: first`: batches
    of them are taken straight from the file; others are converted batch by batch in the background.
    """


class Npy(ArraySource):
    """NumPy files; nothing in them is unpickled."""

    name = "npy"
    Settings = NpySettings

    @contextmanager
    def opened(self) -> Iterator[Mapping[str, Path]]:
        """Find the files; turn all failures into DataError."""
        path = self.path
        try:
            if not path.is_dir():
                problem = "is not a folder" if path.exists() else "no such folder"
                raise DataError(
                    f"{path}: {problem} (looked for {path.resolve()}); expected in it: x_train.npy, y_train.npy, "
                    "x_test.npy, y_test.npy. Set data.path to the folder."
                )
            files = {file.stem: file for file in sorted(path.glob("*.npy"))}
            self.check_names(list(files))
            yield files
        except MemoryError:
            raise DataError(f"{path}: too large for the memory of this machine") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None

    def header(self, arrays: Mapping[str, Any], name: str) -> Header:
        with self._failures(name):
            refuse_other_than_files(arrays[name])
            with arrays[name].open("rb") as stream:
                shape, fortran, dtype = read_header(stream)
                start = stream.tell()
        header = Header(shape, dtype)
        self.check_header(name, header)
        size, there = dtype.itemsize * int(np.prod(shape, dtype=object)), arrays[name].stat().st_size - start
        if size != there:
            raise DataError(
                f"{self.where(name)}: truncated or corrupt: its header announces shape {shape} of {dtype} = {size} "
                f"bytes, but {there} are there"
            )
        if fortran and len(shape) > 1:
            raise DataError(f"{self.where(name)}: is in Fortran order (the first index varies fastest); {_CONTIGUOUS}")
        return header

    def read(self, arrays: Mapping[str, Any], name: str) -> NDArray[Any]:
        with self._failures(name):
            # Copy on write: kernels are compiled for writable arrays, and the file stays as it is.
            return np.asarray(read_values(np.load, arrays[name], mmap_mode="c"))

    def images(self, arrays: Mapping[str, Any], name: str) -> Any:
        """Images as the file has them if batches can be taken straight from it, otherwise converted when used."""
        header = self.header(arrays, name)
        shape = self.image_shape(name, header)
        mapped, first = self.read(arrays, name), self.settings.channels == "first"
        native = header.dtype == np.uint8 or header.dtype == np.dtype("=f4")
        images: Any
        if native and (mapped.ndim == 3 or first or shape[0] == 1):
            images = mapped.reshape(-1, *shape)
        else:
            images = LazyLayout(mapped, first, np.dtype(np.uint8 if header.dtype == np.uint8 else np.float32))
        if images.dtype == np.float32:
            self.check_finite(images, name)
        return images

    def where(self, name: str) -> str:
        return str(self.path / f"{name}.npy")

    @contextmanager
    def _failures(self, name: str) -> Iterator[None]:
        try:
            yield
        except READ_ERRORS as error:
            raise DataError(f"{self.where(name)}: corrupt, or not an array ({error})") from None
