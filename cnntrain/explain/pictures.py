"""Which images are explained: some of a split, or a file that is brought to the form of the data's images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.decoding import decode
from cnntrain.data.image_files import LARGEST_FILE, UnreadableFileError
from cnntrain.data.settings import DataSettings
from cnntrain.data.source import Split
from cnntrain.errors import ArgumentError, DataError
from cnntrain.evaluation.pictures import form_of
from cnntrain.hints import hint
from cnntrain.printable import printable

SPLITS = ("test", "validation", "train")


@dataclass(frozen=True)
class Wanted:
    """Which images, and what they are said to be.

    Attributes
    ----------
    split : str
        "test", "validation" or "train"; ignored with a `file`.
    index : int
        0-based number of the first image in its split.
    images : int
        How many, one after the other.
    file : Path or None
        An image file instead.
    label : str or None
        A class's name, or its number, in the place of what the data say; a file without one is taken for what the
        network says.
    """

    split: str = "test"
    index: int = 0
    images: int = 1
    file: Path | None = None
    label: str | None = None


@dataclass(frozen=True)
class Pictures:
    """Images as they are stored.

    Attributes
    ----------
    stored : ndarray, uint8 or float32, (N, channels, rows, columns)
    labels : ndarray, int64, (N,), or None
        None where nobody said.
    title : str
        What they are: "image 7 of the test split", "photo.png".
    """

    stored: NDArray[Any]
    labels: NDArray[np.int64] | None
    title: str


def of_split(split: Split, wanted: Wanted) -> Pictures:
    """Take images out of a split; raises `ArgumentError` where there are not so many."""
    count = len(split)
    if wanted.index >= count:
        raise ArgumentError(f"index {wanted.index}: the {wanted.split} split has {count:,} images, 0 to {count - 1}")
    if wanted.index + wanted.images > count:
        raise ArgumentError(
            f"{wanted.images} images from index {wanted.index} on: the {wanted.split} split has {count:,} images"
        )
    chosen = np.arange(wanted.index, wanted.index + wanted.images, dtype=np.int64)
    last = wanted.index + wanted.images - 1
    which = f"image {wanted.index}" if wanted.images == 1 else f"images {wanted.index} to {last}"
    return Pictures(
        np.ascontiguousarray(split.images[chosen]), split.labels[chosen].astype(np.int64),
        f"{which} of the {wanted.split} split",
    )  # fmt: skip


def of_file(path: Path, shape: Sequence[int], settings: DataSettings) -> Pictures:
    """Decode a file as the data's images are, scaled to their size.

    Parameters
    ----------
    path : Path
        In a format that the source `folder` reads.
    shape : sequence of int
        (channels, rows, columns) of the data's images; 1 channel is grey, 3 are red, green, blue.
    settings : DataSettings
        Those of `folder` say how a picture of other proportions fits, what lies under transparent pixels, and which
        value of deep images is white.

    Raises
    ------
    DataError
        The file cannot be read.
    ArgumentError
        Images of this network have neither 1 nor 3 channels.
    """
    channels, rows, columns = shape
    if channels not in (1, 3):
        raise ArgumentError(f"{path}: image files have 1 or 3 channels, the network takes {channels}: use --index")
    form = form_of(settings, (channels, rows, columns))
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise DataError(f"{path}: has more than {LARGEST_FILE:,} bytes")
        image = decode(path.read_bytes(), form)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnreadableFileError as error:
        raise DataError(f"{path}: {error}") from error
    return Pictures(image[None], None, printable(str(path)))


def label_of(name: str, class_names: Sequence[str]) -> int:
    """Return the number of a class that is named, or given by its number; raises `ArgumentError`."""
    if name in class_names:
        return list(class_names).index(name)
    if name.isascii() and name.isdecimal() and int(name) < len(class_names):
        return int(name)
    raise ArgumentError(f'no class "{printable(name)}"{hint(name, [printable(each) for each in class_names])}')
