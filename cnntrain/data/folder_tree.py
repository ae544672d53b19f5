"""Which image files belong to which split and class, by their folders, a table or their content; what else is there."""

from __future__ import annotations

import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from cnntrain.data.decoding import SUFFIXES
from cnntrain.data.division import content_hashes, divide
from cnntrain.data.folder_names import SPLIT_FOLDERS, few, is_clutter, outer_folders, split_named
from cnntrain.data.image_files import ImageFiles
from cnntrain.data.labels_table import read_labels
from cnntrain.data.progress import Progress, silent
from cnntrain.errors import ConfigError, DataError
from cnntrain.printable import as_text, printable

_LAYOUT = (
    "expected train/<class>/<image files> and test/<class>/<image files>, and perhaps validation/<class>/...; or "
    "<class>/<image files> with data.test: 0.2"
)
_MOST_CLASSES = 100_000
_DETECTOR = (
    "; images/ beside labels/ is how data for finding objects are laid out: to tell classes apart, each image belongs "
    "in a folder named after its class"
)

Member = tuple[str, int]  # name of a file, label


@dataclass(frozen=True)
class Arrangement:
    """How files are arranged, as the settings say.

    `test` and `validation` are what is taken from the training images by content (a share, or a number of images), 0
    where folders say it; `labels` is the name of a table of classes, None where folders name them.
    """

    test: int | float = 0
    validation: int | float = 0
    labels: str | None = None


class Tree:
    r"""The image files of each split with their labels, and the classes that the training split has.

    Parameters
    ----------
    files : ImageFiles
    arrangement : Arrangement
    only : str or None
        The one split that must be there; None needs train and test.
    class_names : list of str or None
        The classes, if they are known already; None takes those that the training split has.
    progress : callable
        Told how far reading all files has come, where their content decides.

    Attributes
    ----------
    class_names : list of str
        As the folders are called, in the order of their names; bytes that are no UTF-8 are written out (`\xff`).
    are_its_own : bool
        The classes are those of the training split.
    """

    def __init__(
        self,
        files: ImageFiles,
        arrangement: Arrangement = Arrangement(),
        only: str | None = None,
        class_names: list[str] | None = None,
        progress: Progress = silent,
    ) -> None:
        self.files = files
        self._arrangement, self._only, self._progress = arrangement, only, progress
        self._prefix = outer_folders(files)
        self._ignored: list[str] = []
        self._found = self._from_table() if arrangement.labels is not None else self._from_folders()
        if arrangement.test and "test" in self._found:
            raise ConfigError(
                f"data.test: {arrangement.test}: {files.path} brings a test split of its own "
                f"({len(self._found['test']):,} images): leave data.test out to use it"
            )
        if arrangement.test and arrangement.validation and "validation" in self._found:
            raise ConfigError(
                f"data.validation: {arrangement.validation}: {files.path} brings a validation split of its own "
                f"({len(self._found['validation']):,} images): leave data.validation at 0 to use it"
            )
        for split in ("train", "test") if only is None else (only,):
            if split not in self._found and not (split == "test" and arrangement.test):
                raise DataError(f"{files.path}: {self._missing(split)}; {_LAYOUT}")
        self._warn()
        trained = sorted({class_name for class_name, _ in self._found.get("train", [])})
        names = trained if class_names is None else class_names
        if len(names) > _MOST_CLASSES:
            raise DataError(f"{files.path}: {len(names):,} classes in train/, at most {_MOST_CLASSES:,} are allowed")
        self._check_distinct(names)
        self.class_names = [as_text(name) for name in names]
        self._known = "the training split has not" if class_names is None else "the network does not know"
        self.are_its_own = self.class_names == [as_text(name) for name in trained]

    @cached_property
    def splits(self) -> dict[str, list[Member]]:
        """(file, label) of each split that is there, train, test and perhaps validation; or of the `only` one."""
        labels = {name: label for label, name in enumerate(self.class_names)}
        found = self._divided() if self._arrangement.test else self._found
        return {
            split: [(name, self._label(labels, split, as_text(of), name)) for of, name in found[split]]
            for split in SPLIT_FOLDERS
            if split in found and self._only in (None, split)
        }

    def first_images(self) -> Iterator[str]:
        """Yield names of images that may tell the size of all: those for training, before test images are taken out."""
        yield from (name for _, name in self._found["train"])

    def _from_folders(self) -> dict[str, list[tuple[str, str]]]:
        """Return (class, name) of the image files of each split; all are for training where no folder is a split's."""
        folders = self._folders_of_splits()
        found: dict[str, list[tuple[str, str]]] = {}
        loose: list[tuple[str, str]] = []
        elsewhere = []
        for name in self.files.names:
            parts = self._parts(name)
            if is_clutter(parts):
                continue
            is_image, split = name.lower().endswith(SUFFIXES), folders.get(parts[0])
            if is_image and len(parts) > 1:
                loose.append((parts[0], name))
            if is_image and split is not None and len(parts) > 2:
                found.setdefault(split, []).append((parts[1], name))
            elif split is not None or (self._arrangement.test and not found):
                elsewhere.append((name, is_image and len(parts) > 1))
        if not found and loose and self._arrangement.test:
            self._ignored = [name for name, in_class in elsewhere if not in_class]
            return {"train": loose}
        self._ignored = [name for name, _ in elsewhere if folders.get(self._parts(name)[0]) is not None]
        return found

    def _from_table(self) -> dict[str, list[tuple[str, str]]]:
        """Return (class, name) of the files that a table names; folders may still say of which split they are."""
        assert self._arrangement.labels is not None  # the caller asked; for mypy
        labels = self._prefix + self._arrangement.labels
        folders = self._folders_of_splits()
        found: dict[str, list[tuple[str, str]]] = {}
        rows = read_labels(self.files, labels if labels in self.files.names else self._arrangement.labels)
        for name, class_name in rows:
            parts = self._parts(name)
            found.setdefault((folders.get(parts[0]) if len(parts) > 1 else None) or "train", []).append(
                (class_name, name)
            )
        listed = {name for name, _ in rows}
        self._ignored = [
            name
            for name in self.files.names
            if name not in listed and name.lower().endswith(SUFFIXES) and not is_clutter(self._parts(name))
        ]
        return {split: sorted(of, key=lambda pair: pair[1]) for split, of in found.items()}

    def _divided(self) -> dict[str, list[tuple[str, str]]]:
        """Take test and validation images out of the training images, by content."""
        images = self._found["train"]
        shares = [
            share / len(images) if isinstance(share, int) else share
            for share in (self._arrangement.test, self._arrangement.validation)
        ]
        if sum(shares) >= 1:
            raise ConfigError(
                f"data.test: {self._arrangement.test} and data.validation: {self._arrangement.validation} of "
                f"{len(images):,} images leave nothing to train on"
            )
        hashes = content_hashes(self.files, [name for _, name in images], self._progress)
        found: dict[str, list[tuple[str, str]]] = {}
        for pair, split in zip(images, divide([of for of, _ in images], hashes, *shares), strict=True):
            found.setdefault(split, []).append(pair)
        if "test" not in found:
            raise DataError(
                f"{self.files.path}: data.test: {self._arrangement.test} leaves no test images: each class has one "
                "picture (equal files count as one)"
            )
        return self._found | found

    def likely_mistake(self) -> str:
        """Say why there might be one class only; "" if nothing tells."""
        tops = {self._parts(name)[1] for name in self.files.names if len(self._parts(name)) > 2}
        if self.class_names == ["images"] and "labels" in tops:
            return _DETECTOR
        inner = Counter(parts[2] for _, name in self._found["train"] if len(parts := self._parts(name)) > 3)
        if len(inner) > 1 and self._arrangement.labels is None:
            return f"; all classes may lie one folder too deep: in {printable(self.class_names[0])}/ are {few(inner)}"
        return ""

    def _parts(self, name: str) -> list[str]:
        return name.removeprefix(self._prefix).split("/")

    def _folders_of_splits(self) -> dict[str, str]:
        """Which folder holds which split; raises `DataError` if two could hold the same."""
        tops = sorted({parts[0] for name in self.files.names if len(parts := self._parts(name)) > 1})
        folders = {top: split for top in tops if (split := split_named(top)) is not None}
        for split in SPLIT_FOLDERS:
            rivals = [top for top, of in folders.items() if of == split]
            if len(rivals) > 1:
                raise DataError(
                    f"{self.files.path}: {' and '.join(f'{self._prefix}{top}/' for top in rivals)} could both be the "
                    f"{split} split: remove or rename one"
                )
        return folders

    def _missing(self, split: str) -> str:
        """Say what is there in place of a split."""
        found = self._found
        text = f"no image files in {printable(self._prefix)}{split}/<class>/"
        if found:
            return (
                text
                + "; found "
                + ", ".join(f"{len(of):,} images of the {name} split" for name, of in found.items())
                + "; set data.test: 0.2 to take a fifth of them, by content" * (split == "test" and "train" in found)
            )
        counts = Counter(
            parts[0]
            for name in self.files.names
            if len(parts := self._parts(name)) > 1 and not is_clutter(parts) and name.lower().endswith(SUFFIXES)
        )
        if not counts:
            images = sum(name.lower().endswith(SUFFIXES) for name in self.files.names)
            return text + (f"; found {images:,} image files that lie in no folder" if images else "")
        text += f"; found image files in {few(counts)}"
        tops = {self._parts(name)[0] for name in self.files.names}
        if "images" in counts and "labels" in tops:
            return text + _DETECTOR
        holding_files = {parts[0] for name in self.files.names if len(parts := self._parts(name)) == 2}
        if len(counts) > 1 and holding_files >= counts.keys():
            return text + ": if these are the classes, set data.test: 0.2 to take a fifth of each for testing"
        return text

    def _warn(self) -> None:
        if self._ignored:
            what = "are no image files in a class's folder" if self._arrangement.labels is None else "have no label"
            warnings.warn(
                f"{self.files.path}: ignored {len(self._ignored):,} files that {what}; the first is "
                f"{printable(self._ignored[0])}",
                stacklevel=5,
            )
        if self.files.left_out:
            left_out = self.files.left_out
            warnings.warn(
                f"{self.files.path}: left out {len(left_out):,} links and folders; the first: {printable(left_out[0])}",
                stacklevel=5,
            )

    def _check_distinct(self, names: list[str]) -> None:
        """Refuse two folders whose names are the same text, written in two ways."""
        seen: dict[str, str] = {}
        for name in names:
            text = unicodedata.normalize("NFC", as_text(name))
            if text in seen:
                raise DataError(
                    f"{self.files.path}: two folders of the training split are called {printable(text)}, in different "
                    f"bytes ({seen[text]!a} and {name!a}): rename one, or put their files together"
                )
            seen[text] = name

    def _label(self, labels: dict[str, int], split: str, class_name: str, name: str) -> int:
        if class_name not in labels:
            names = [printable(known) for known in self.class_names[:20]]
            raise DataError(
                f"{self.files.where(name)}: the {split} split has a class that {self._known}: "
                f"{printable(class_name)}; classes are {', '.join(names)}"
            )
        return labels[class_name]
