"""What a data source is: its settings, and the two questions it answers.

A source file holds its `Settings` and its `Source`; one line in `SOURCES` (`data/__init__.py`) makes it known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.images import LazyRows
from cnntrain.data.progress import Progress, silent
from cnntrain.data.published import PublishedData
from cnntrain.data.settings import DataSettings
from cnntrain.errors import DataError

_MAX_CLASSES = 100_000  # a larger label is a damaged file or no label, and would size the last layer


ImageShape = tuple[int, int, int]  # (channels, rows, columns)


@dataclass
class Split:
    """Images and their labels.

    Attributes
    ----------
    images : ndarray or LazyImages (N, C, H, W)
        uint8 or float32, C-contiguous, as stored: normalisation happens when a batch enters the network. The array may
        be mapped from a file. `LazyImages` (data/images.py) are brought batch by batch: `images[indices]`.
    labels : ndarray (N,)
        int64, 0 to classes - 1.
    names : sequence of str or None
        The file of each image, as its source calls it; None where images have no files of their own.
    """

    images: Any
    labels: NDArray[np.int64]
    names: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, rows: NDArray[np.int64]) -> Split:
        """Return some of the images, in the order of `rows`; none is read."""
        names = None if self.names is None else [self.names[row] for row in rows]
        images = self.images  # rows of rows are rows of the stored images
        found = LazyRows(images.images, images.rows[rows]) if isinstance(images, LazyRows) else LazyRows(images, rows)
        return Split(found, self.labels[rows], names)


@dataclass
class Loaded:
    """What a source reads: its splits, checked, and the names of the classes.

    `validation` is a split of its own that the data bring along; None for most. With `held_out` it is what
    `data.validation` asks for: the source has chosen it.
    """

    train: Split
    test: Split
    class_names: list[str]
    validation: Split | None = None
    held_out: bool = False


SettingsT = TypeVar("SettingsT", bound=DataSettings)


class Source(ABC, Generic[SettingsT]):
    """A kind of data set on disk.

    `progress` is told how far a reading that takes a while has come. A source of one published data set has it as
    `published`: `cnntrain data download` fetches it, and what needs the size of the images only needs no files.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[DataSettings]]
    published: ClassVar[PublishedData | None] = None

    def __init__(self, settings: SettingsT, progress: Progress = silent) -> None:
        self.settings = settings
        self.progress = progress

    @abstractmethod
    def describe(self) -> tuple[ImageShape, int]:
        """Image shape and number of classes, without reading the images; raises `DataError`."""

    def likely_mistake(self) -> str:
        """Say what may be wrong when the data turn out to have one class: "; ..." for the message, or ""."""
        return ""

    def begin_to_load(self) -> None:
        """Begin what takes long in `load` on threads of its own; errors are for `load`."""

    @abstractmethod
    def load(self) -> Loaded:
        """Read and check everything; raises `DataError`."""

    def load_split(self, name: str, class_names: list[str], shape: ImageShape) -> Split | None:
        """Read and check one split, of classes and an image shape that are known; None if that needs the others too.

        `name` is train (with what is to be held out), validation (if the data bring one along) or test.
        """
        return None


def checked_labels(labels: NDArray[Any], classes: int, where: str, first: int = 0) -> NDArray[np.int64]:
    """Labels as int64, counted from 0, or a `DataError` that names the first one outside first..first+classes-1."""
    wrong = np.flatnonzero((labels < first) | (labels >= first + classes))
    if len(wrong):
        index, smallest = int(wrong[0]), int(labels.min())
        raise DataError(
            f"{where}: label {labels[index]} (of image {index}, counted from 0) is out of range: with {classes} "
            f"classes labels must be {first} to {first + classes - 1}; {len(wrong)} of {len(labels)} labels are out of "
            "range" + (f"; if they count from {smallest}, set data.first_label: {smallest}" * (smallest > first))
        )
    return labels.astype(np.int64) - first


def check_pair(images: int, labels: int, images_where: str, labels_where: str) -> None:
    """Raise `DataError` unless there is one label per image."""
    if images != labels:
        raise DataError(
            f"{images_where}: holds {images} images but {labels_where} holds {labels} labels; "
            "are the files of the same split, and complete?"
        )


def classes_of(labels: NDArray[Any], class_names: list[str] | None, where: str, first: int = 0) -> int:
    """Number of classes: as many as there are names, otherwise as many as the training labels from `first` span."""
    if class_names:
        return len(class_names)
    smallest, largest = int(labels.min()), int(labels.max())
    if smallest < first or largest - first >= _MAX_CLASSES:
        must = f"{first} to {first} + classes - 1" if first else "0 to classes - 1"
        raise DataError(
            f"{where}: labels go from {smallest} to {largest}; they must be {must} (at most {_MAX_CLASSES} classes)"
        )
    return largest - first + 1


def names_of(classes: int, class_names: list[str] | None, first: int = 0) -> list[str]:
    """Names of the classes: as given, otherwise their numbers in the files."""
    return list(class_names) if class_names else [str(first + label) for label in range(classes)]
