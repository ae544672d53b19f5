"""A data set ready for training: loaded, checked, split, with its normalisation, and the order of its batches."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.holdout import held_out_count, stratified_holdout
from cnntrain.data.normalization import Normalization, normalization_of
from cnntrain.data.progress import Progress, silent
from cnntrain.data.selection import select_classes
from cnntrain.data.settings import DataSettings
from cnntrain.data.source import Source, Split
from cnntrain.errors import ArgumentError, ConfigError, DataError
from cnntrain.printable import printable
from cnntrain.randomness import generator

if TYPE_CHECKING:
    from cnntrain.shape import Shape

SPLITS = ("train", "validation", "test")


@dataclass
class DataSet:
    """Three splits, the names of the classes, and how pixels are normalised.

    `validation` is None when nothing is held out and the data bring no such split along.
    """

    train: Split
    validation: Split | None
    test: Split
    class_names: list[str]
    normalization: Normalization

    def split(self, name: str) -> Split:
        """Return the split of that name: train, validation or test.

        Raises
        ------
        ArgumentError
            There is no split of that name.
        ConfigError
            validation was asked for, and the data settings hold nothing out.
        """
        if name not in SPLITS:
            raise ArgumentError(f'no split is named "{name}"; splits are train, validation and test')
        split: Split | None = getattr(self, name)
        if split is None:
            raise ConfigError(
                "this data has no validation split: data.validation is 0; set it to a number of images or a fraction "
                "of the training split"
            )
        return split


def describe(settings: DataSettings) -> tuple[Shape, int]:
    """Image shape and number of classes, from file headers and at most the labels; raises `DataError`."""
    from cnntrain.shape import Shape

    source = _source(settings)
    with _places_named(settings):
        shape, classes = source.describe()
    if classes < 2:
        raise _one_class(source, "there is only one class")
    return Shape(*shape), classes if settings.classes is None else len(settings.classes)


def describe_or_recall(settings: DataSettings) -> tuple[Shape, int, str]:
    """Return what `describe` does and "", or what is known of published data that are not there and a note on it.

    Raises `DataError` as `describe`, which says what a command takes in their place.
    """
    from cnntrain.data import SOURCES  # the package imports this file
    from cnntrain.shape import Shape

    published = SOURCES[settings.source].published
    if published is None or Path(settings.path).expanduser().exists():
        try:
            return *describe(settings), ""
        except DataError as error:
            raise DataError(
                f"{error}\nThe data are needed for the size of the images only: --image 3x32x32 and --classes 10 do as "
                "well"
            ) from error
    note = (
        f"{settings.path}: not there, so the published size of its images is taken; "
        f"fetch the data with: cnntrain data download {settings.source}"
    )
    return Shape(*published.image_shape), len(settings.classes or published.class_names), note


@contextmanager
def _places_named(settings: DataSettings) -> Iterator[None]:
    """Add to a `DataError` of data that are nowhere where they were looked for."""
    try:
        yield
    except DataError as error:
        folder, path = settings._origin.folder, Path(settings.path).expanduser()
        if folder is None or path.is_absolute() or path.exists() or folder.resolve() == Path.cwd():
            raise
        raise DataError(
            f"{error}\n  paths in a config are relative to the working directory ({Path.cwd()}) or to the config's "
            f"folder ({folder.resolve()}): neither has {settings.path}"
        ) from None


def begin_to_load(settings: DataSettings) -> None:
    """Begin what takes long in `load_data`, where the source can, while something else is done; raises nothing."""
    _source(settings).begin_to_load()


def load_data(settings: DataSettings, seed: int, progress: Progress = silent) -> DataSet:
    """Load and check a data set, hold out the validation split, and determine the normalisation.

    Parameters
    ----------
    settings : DataSettings
        The `data` block of the config.
    seed : int
        The config's seed; it decides which images are held out.
    progress : callable
        Told how far a reading that takes a while has come.

    Returns
    -------
    DataSet
        Splits in the order of their files.

    Raises
    ------
    DataError
        Something is missing, damaged or contradicts itself.
    ConfigError
        The settings do not fit this data (validation larger than the training split, wrong number of means).
    """
    source = _source(settings, progress)
    with _places_named(settings):
        loaded = source.load()
    if settings.classes is not None:
        loaded = select_classes(loaded, settings.classes)
    train, validation = loaded.train, loaded.validation
    if validation is not None and settings.validation and not loaded.held_out:
        raise ConfigError(
            f"data.validation: {settings.validation}: the data bring a validation split of their own "
            f"({len(validation):,} images): leave data.validation at 0 to use it"
        )
    classes = len(loaded.class_names)
    only = train.labels[0]
    if classes < 2 or (train.labels == only).all():
        raise _one_class(source, f"all {len(train):,} training images have the label {only}")
    if not loaded.held_out and settings.validation:
        train, validation = _hold_out(train, classes, settings, seed)
    _warn_of_empty_classes(train, loaded.class_names, settings.path)
    normalization = normalization_of(settings.normalize, train.images)
    if settings.normalize == "standard":
        for channel in normalization.constant_channels:
            warnings.warn(constant_channel(channel), stacklevel=2)
    return DataSet(train, validation, loaded.test, loaded.class_names, normalization)


def load_split(
    settings: DataSettings,
    seed: int,
    name: str,
    class_names: Sequence[str],
    shape: tuple[int, int, int],
    progress: Progress = silent,
) -> Split:
    """Load one split for a network that was trained on such data; where the source can, without the others.

    Parameters
    ----------
    settings : DataSettings
    seed : int
        As for `load_data`.
    name : str
        train, validation or test.
    class_names : sequence of str
        The classes that the network knows.
    shape : tuple of int
        The (channels, rows, columns) that it takes.
    progress : callable
        As for `load_data`.

    Raises
    ------
    DataError, ConfigError
        As `load_data`; also when the data have other classes or images of another shape.
    """
    if name not in SPLITS:
        raise ArgumentError(f'no split is named "{name}"; splits are train, validation and test')
    source = _source(settings, progress)
    held_out = bool(settings.validation) and name != "test"
    with _places_named(settings):
        split = None  # classes are chosen from all that the data have
        if settings.classes is None:
            split = source.load_split("train" if held_out else name, list(class_names), shape)
    if split is None:
        data = load_data(settings, seed, progress)
        if tuple(data.class_names) != tuple(class_names):
            raise DataError(
                f"{settings.path}: the network knows {_classes(class_names)}, "
                f"the data have {_classes(data.class_names)}"
            )
        split = data.split(name)
    elif held_out:
        train, validation = _hold_out(split, len(class_names), settings, seed)
        split = train if name == "train" else validation
    found = tuple(split.images.shape[1:])
    if found != tuple(shape):
        wanted, there = ("x".join(map(str, sizes)) for sizes in (shape, found))
        raise DataError(f"{settings.path}: the network takes images of {wanted}, the data have {there}")
    return split


def _hold_out(train: Split, classes: int, settings: DataSettings, seed: int) -> tuple[Split, Split]:
    """Divide the training images into those that stay and those for validation."""
    count = held_out_count(settings.validation, len(train))
    kept, held_out = stratified_holdout(train.labels, classes, count, generator(seed, "validation"))
    return train.part(kept), train.part(held_out)


def _classes(names: Sequence[str]) -> str:
    shown = ", ".join(map(printable, names[:10])) + (", ..." if len(names) > 10 else "")
    return f"{len(names)} classes ({shown})"


def batches(n: int, batch_size: int, generator: np.random.Generator | None = None) -> Iterator[NDArray[np.int64]]:
    """Yield the indices 0 to n - 1 in batches; the last one may be short.

    Parameters
    ----------
    n, batch_size : int
        Number of images; images per batch.
    generator : numpy.random.Generator, optional
        Shuffles; without it the indices come in order.

    Yields
    ------
    ndarray of int64
        At most `batch_size` indices.
    """
    order = np.arange(n, dtype=np.int64) if generator is None else generator.permutation(n).astype(np.int64, copy=False)
    for start in range(0, n, batch_size):
        yield order[start : start + batch_size]


def _source(settings: DataSettings, progress: Progress = silent) -> Source:
    from cnntrain.data import SOURCES  # the package imports this file

    return SOURCES[settings.source](settings, progress)


def _one_class(source: Source, found: str) -> DataError:
    return DataError(f"{source.settings.path}: {found}, so there is nothing to learn{source.likely_mistake()}")


def constant_channel(channel: int) -> str:
    """The warning of a channel in which all training pixels are equal."""
    return f"channel {channel}: all training pixels are equal (deviation 0): it tells the network nothing"


def _warn_of_empty_classes(train: Split, class_names: list[str], path: str) -> None:
    empty = np.flatnonzero(np.bincount(train.labels, minlength=len(class_names)) == 0)
    if len(empty):
        names = ", ".join(printable(class_names[label]) for label in empty[:10]) + (", ..." if len(empty) > 10 else "")
        hint = "; if labels count from 1, set data.first_label: 1" if empty.tolist() == [0] else ""
        warnings.warn(
            f"{path}: the training split has no image of {len(empty)} of {len(class_names)} classes ({names}){hint}",
            stacklevel=3,
        )
