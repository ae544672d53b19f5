"""What the sources of NumPy arrays share: which arrays there must be, and what they may hold."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.data.progress import Progress, silent
from cnntrain.data.settings import ClassNames, DataSettings, FirstLabel
from cnntrain.data.source import ImageShape, Loaded, Source, Split, check_pair, checked_labels, classes_of, names_of
from cnntrain.errors import DataError
from cnntrain.printable import printable

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
VALIDATION = ("validation", "valid", "val")  # how the arrays of that split may be called, x_ and y_
_COLOURS = (1, 3, 4)  # grey, RGB, RGBA: a channel axis of another length makes us look twice
_CHUNK = 256  # images per check for NaN


class ArraySettings(DataSettings):
    """Keys that the sources of NumPy arrays share."""

    channels: Literal["last", "first"] = Field(
        "last",
        description="Where images with a channel axis have it: last (N, rows, columns, channels) as in Keras, first "
        "(N, channels, rows, columns) as in PyTorch.",
    )
    first_label: FirstLabel
    class_names: ClassNames = Field(
        None, description="Names in the order of the labels; without them the labels themselves are the names."
    )


class Header(NamedTuple):
    """Shape and type of an array that is not read yet."""

    shape: tuple[int, ...]
    dtype: np.dtype


class ArraySource(Source[ArraySettings]):
    """Arrays x_train, y_train, x_test, y_test and perhaps x_validation, y_validation (or x_val, x_valid), somewhere.

    Images are (N, H, W) for grey, or with a channel axis; uint8 (0 to 255), or floating point on any scale.
    """

    def __init__(self, settings: ArraySettings, progress: Progress = silent) -> None:
        super().__init__(settings, progress)
        self.path = Path(settings.path).expanduser()

    def describe(self) -> tuple[ImageShape, int]:
        with self.opened() as arrays:
            shape = self.image_shape("x_train", self.header(arrays, "x_train"))
            labels = self._labels(arrays, "y_train")
        return shape, self._classes(labels)

    def load(self) -> Loaded:
        with self.opened() as arrays:
            names = ["train", "test", *(name for name in VALIDATION if f"x_{name}" in arrays)]
            labels = {name: self._labels(arrays, f"y_{name}") for name in names}
            images = {name: self.images(arrays, f"x_{name}") for name in names}
        classes = self._classes(labels["train"])
        splits = {}
        for name in names:
            check_pair(len(images[name]), len(labels[name]), self.where(f"x_{name}"), f"y_{name}")
            checked = checked_labels(labels[name], classes, self.where(f"y_{name}"), self.settings.first_label)
            splits[name] = Split(images[name], checked)
            self._check_alike(images["train"], images[name], name)
        class_names = names_of(classes, self.settings.class_names, self.settings.first_label)
        return Loaded(splits["train"], splits["test"], class_names, splits[names[2]] if names[2:] else None)

    def _classes(self, labels: NDArray[Any]) -> int:
        settings = self.settings
        return classes_of(labels, settings.class_names, self.where("y_train"), settings.first_label)

    # --- what a source of arrays says ---

    @abstractmethod
    @contextmanager
    def opened(self) -> Iterator[Mapping[str, Any]]:
        """Open what holds the arrays: something by array name. `DataError` if an array is missing."""

    @abstractmethod
    def header(self, arrays: Mapping[str, Any], name: str) -> Header:
        """Shape and type of an array, compared with the size on disk before anything is allocated."""

    @abstractmethod
    def read(self, arrays: Mapping[str, Any], name: str) -> NDArray[Any]:
        """Read an array; nothing is unpickled."""

    @abstractmethod
    def images(self, arrays: Mapping[str, Any], name: str) -> Any:
        """Images (N, C, H, W), uint8 or float32, finite: an array or `LazyImages`."""

    @abstractmethod
    def where(self, name: str) -> str:
        """An array's full name, for messages."""

    # --- checks ---

    def check_names(self, found: list[str]) -> None:
        """Raise `DataError` unless the arrays that must be there are."""
        splits = [split for split in VALIDATION if {f"x_{split}", f"y_{split}"} & set(found)]
        if len(splits) > 1:
            arrays = " and ".join(f"x_{split}" for split in splits)
            raise DataError(f"{self.path}: {arrays} could both be the validation split: leave one out")
        wanted = (*ARRAYS, *(f"{axis}_{split}" for split in splits for axis in "xy"))
        missing = [name for name in wanted if name not in found]
        if missing:
            there = ", ".join(printable(name) for name in found[:12]) or "nothing"
            raise DataError(f"{self.path}: no array named {', '.join(missing)}; found {there}")

    def check_header(self, name: str, header: Header) -> None:
        """Raise `DataError` for Python objects and for arrays that hold nothing."""
        if header.dtype.hasobject:
            raise DataError(
                f"{self.where(name)}: holds Python objects (dtype {header.dtype}); they are refused because reading "
                "them runs code"
            )
        if any(length <= 0 for length in header.shape):
            raise DataError(f"{self.where(name)}: holds nothing: shape {header.shape}")

    def image_shape(self, name: str, header: Header) -> ImageShape:
        """(channels, rows, columns) of the images; raises `DataError` when the array is no array of images."""
        where, shape, dtype = self.where(name), header.shape, header.dtype
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

    def check_finite(self, images: Any, name: str) -> None:
        """Raise `DataError` for the first pixel that is NaN, infinite, or too large for float32."""
        for start in range(0, len(images), _CHUNK):
            chunk = images[start : start + _CHUNK]
            finite = np.isfinite(chunk)
            if not finite.all():
                image, channel, row, column = np.argwhere(~finite)[0]
                raise DataError(
                    f"{self.where(name)}: pixel value {chunk[image, channel, row, column]} in image {start + image} "
                    f"(counted from 0) at channel {channel}, row {row}, column {column}: images must be finite numbers "
                    "within the range of float32"
                )

    def _labels(self, arrays: Mapping[str, Any], name: str) -> NDArray[Any]:
        where = self.where(name)
        header = self.header(arrays, name)
        shape = header.shape
        if len(shape) != 1 and not (len(shape) == 2 and shape[1] == 1):
            hint = "; is it one-hot? save y.argmax(axis=1) instead" if len(shape) == 2 else ""
            raise DataError(f"{where}: has shape {shape}; labels must be (N,) or (N, 1){hint}")
        if header.dtype.kind not in "iuf":
            text = "; number the classes: np.unique(y, return_inverse=True)" if header.dtype.kind in "US" else ""
            raise DataError(f"{where}: has dtype {header.dtype}; labels must be whole numbers{text}")
        labels = self.read(arrays, name).reshape(-1)
        if header.dtype.kind == "f":  # 3.0 is a whole number too
            wide = labels.astype(np.float64)
            whole = (wide == np.floor(wide)) & (np.abs(wide) < 1 << 31)
            if not whole.all():
                index = int(np.flatnonzero(~whole)[0])
                raise DataError(
                    f"{where}: label {labels[index]} (of image {index}, counted from 0) of dtype {header.dtype}: "
                    "labels must be whole numbers"
                )
            return labels.astype(np.int64)
        return labels

    def _check_alike(self, train: Any, other: Any, name: str) -> None:
        if train.shape[1:] != other.shape[1:]:
            raise DataError(
                f"{self.path}: x_train has images of shape {train.shape[1:]} (channels, rows, columns), x_{name} of "
                f"{other.shape[1:]}"
            )
        if train.dtype != other.dtype:
            raise DataError(f"{self.path}: x_train is {train.dtype}, x_{name} is {other.dtype}: they must be alike")
