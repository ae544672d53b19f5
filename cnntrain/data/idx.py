"""Source `idx`: IDX files under names of your own (EMNIST, KMNIST, your own data in that format)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from cnntrain.data.idx_format import begin_to_read, read_idx, read_idx_header
from cnntrain.data.settings import ClassNames, DataSettings, FirstLabel
from cnntrain.data.source import ImageShape, Loaded, Source, Split, check_pair, checked_labels, classes_of, names_of
from cnntrain.errors import DataError

FileName = Annotated[str, Field(min_length=1)]


class IdxSettings(DataSettings):
    """Keys of `data: {source: idx, ...}`; file names are relative to `path`, plain or gzip."""

    train_images: FileName = Field(description="File of the training images.")
    train_labels: FileName = Field(description="File of their labels.")
    test_images: FileName = Field(description="File of the test images.")
    test_labels: FileName = Field(description="File of their labels.")
    first_label: FirstLabel
    transpose: bool = Field(
        False, description="Exchange the rows and columns of every image, as EMNIST's files need it to stand upright."
    )
    class_names: ClassNames = Field(
        None, description="Names in the order of the labels; the labels themselves if none."
    )


class IdxFiles:
    """The four files of a data set in IDX format, and how they fit together.

    Labels count from `first_label`; `transpose` exchanges rows and columns.
    """

    def __init__(
        self, train: tuple[Path, Path], test: tuple[Path, Path], first_label: int = 0, transpose: bool = False
    ):
        self.train, self.test = train, test  # images, labels
        self._first, self._transpose = first_label, transpose

    def image_shape(self) -> ImageShape:
        """(channels, rows, columns), from the header of the training images."""
        _, rows, columns = read_idx_header(self.train[0], 3)
        return (1, columns, rows) if self._transpose else (1, rows, columns)

    def classes(self, class_names: list[str] | None) -> int:
        """Number of classes; without names there are as many as the training labels span."""
        return classes_of(read_idx(self.train[1], 1), class_names, str(self.train[1]), self._first)

    def begin_to_load(self) -> None:
        """Begin to decompress the images of both splits."""
        begin_to_read(self.train[0], self.test[0])

    def load(self, class_names: list[str] | None) -> Loaded:
        """Read the four files."""
        classes = self.classes(class_names)
        with ThreadPoolExecutor(2) as pool:  # decompression works without the interpreter's lock
            train, test = pool.map(lambda files: self._split(files, classes), (self.train, self.test))
        if train.images.shape[1:] != test.images.shape[1:]:
            (_, _, *train_size), (_, _, *test_size) = train.images.shape, test.images.shape
            raise DataError(
                f"{self.test[0]}: images of {test_size[0]}x{test_size[1]} pixels, but {self.train[0]} has "
                f"{train_size[0]}x{train_size[1]}"
            )
        return Loaded(train, test, names_of(classes, class_names, self._first))

    def load_one(self, name: str, class_names: Sequence[str]) -> Split:
        """Read the two files of a split, train or test, of classes that are known."""
        return self._split(self.train if name == "train" else self.test, len(class_names))

    def _split(self, files: tuple[Path, Path], classes: int) -> Split:
        images_file, labels_file = files
        images, labels = read_idx(images_file, 3), read_idx(labels_file, 1)
        check_pair(len(images), len(labels), str(images_file), str(labels_file))
        if self._transpose:
            images = np.ascontiguousarray(images.transpose(0, 2, 1))
        return Split(images[:, None], checked_labels(labels, classes, str(labels_file), self._first))


class Idx(Source[IdxSettings]):
    """IDX files with explicit names; grey images, unsigned bytes."""

    name = "idx"
    Settings = IdxSettings

    def describe(self) -> tuple[ImageShape, int]:
        files = self._files()
        return files.image_shape(), files.classes(self.settings.class_names)

    def begin_to_load(self) -> None:
        self._files().begin_to_load()

    def load(self) -> Loaded:
        return self._files().load(self.settings.class_names)

    def load_split(self, name: str, class_names: list[str], shape: ImageShape) -> Split | None:
        given = self.settings.class_names
        if name == "validation" or (given is not None and given != class_names):
            return None
        return self._files().load_one(name, class_names)

    def _files(self) -> IdxFiles:
        folder = Path(self.settings.path).expanduser()
        settings = self.settings
        train = (folder / settings.train_images, folder / settings.train_labels)
        test = (folder / settings.test_images, folder / settings.test_labels)
        return IdxFiles(train, test, settings.first_label, settings.transpose)
