"""Which image files belong to which split and class, by the names of their folders; and what else is there."""

from __future__ import annotations

import unicodedata
import warnings
from collections import Counter

from cnntrain.data.decoding import SUFFIXES
from cnntrain.data.image_files import ImageFiles
from cnntrain.errors import DataError
from cnntrain.printable import as_text, printable

# Names of a split's folder, in small letters; capitals will do.
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
_LAYOUT = "expected train/<class>/<image files> and test/<class>/<image files>, and perhaps validation/<class>/..."
_CLUTTER = ("__MACOSX", "Thumbs.db", "desktop.ini")  # what systems leave in folders; names with a dot in front too
_MOST_CLASSES = 100_000
_DETECTOR = (
    "; images/ beside labels/ is how data for finding objects are laid out: to tell classes apart, each image belongs "
    "in a folder named after its class"
)

Member = tuple[str, int]  # name of a file, label


class Tree:
    r"""The image files of each split with their labels, and the classes that the folders of the training split name.

    Attributes
    ----------
    class_names : list of str
        As the folders are called, in the order of their names; bytes that are no UTF-8 are written out (`\xff`).
    splits : dict of list
        (file, label) of each split that is there: train, test and perhaps validation.
    """

    def __init__(self, files: ImageFiles) -> None:
        self.files = files
        self._prefix = _outer_folders(files)
        folders = self._folders_of_splits()
        found: dict[str, list[tuple[str, str]]] = {}  # split -> (class, name)
        ignored = []
        for name in files.names:
            parts = self._parts(name)
            split = folders.get(parts[0])
            if split is None or _is_clutter(parts):
                continue
            if len(parts) < 3 or not name.lower().endswith(SUFFIXES):
                ignored.append(name)
                continue
            found.setdefault(split, []).append((parts[1], name))
        for split in ("train", "test"):
            if split not in found:
                raise DataError(f"{files.path}: {self._missing(split, found)}; {_LAYOUT}")
        self._warn(ignored)
        names = sorted({class_name for class_name, _ in found["train"]})
        if len(names) > _MOST_CLASSES:
            raise DataError(f"{files.path}: {len(names):,} classes in train/, at most {_MOST_CLASSES:,} are allowed")
        self._check_distinct(names)
        self.class_names = [as_text(name) for name in names]
        labels = {name: label for label, name in enumerate(names)}
        self.splits: dict[str, list[Member]] = {}
        for split in _SPLITS:
            if split in found:
                self.splits[split] = [(name, self._label(labels, split, of, name)) for of, name in found[split]]

    def likely_mistake(self) -> str:
        """Say why there might be one class only; "" if nothing tells."""
        tops = {self._parts(name)[1] for name in self.files.names if len(self._parts(name)) > 2}
        if self.class_names == ["images"] and "labels" in tops:
            return _DETECTOR
        inner = Counter(parts[2] for name, _ in self.splits["train"] if len(parts := self._parts(name)) > 3)
        if len(inner) > 1:
            return f"; all classes may lie one folder too deep: in {printable(self.class_names[0])}/ are {_few(inner)}"
        return ""

    def _parts(self, name: str) -> list[str]:
        return name.removeprefix(self._prefix).split("/")

    def _folders_of_splits(self) -> dict[str, str]:
        """Which folder holds which split; raises `DataError` if two could hold the same."""
        tops = sorted({parts[0] for name in self.files.names if len(parts := self._parts(name)) > 1})
        folders = {top: split for top in tops if (split := _split_named(top)) is not None}
        for split in _SPLITS:
            rivals = [top for top, of in folders.items() if of == split]
            if len(rivals) > 1:
                raise DataError(
                    f"{self.files.path}: {' and '.join(f'{self._prefix}{top}/' for top in rivals)} could both be the "
                    f"{split} split: remove or rename one"
                )
        return folders

    def _missing(self, split: str, found: dict[str, list[tuple[str, str]]]) -> str:
        """Say what is there in place of a split."""
        text = f"no image files in {printable(self._prefix)}{split}/<class>/"
        if found:
            return (
                text + "; found " + ", ".join(f"{len(of):,} images of the {name} split" for name, of in found.items())
            )
        counts = Counter(
            parts[0]
            for name in self.files.names
            if len(parts := self._parts(name)) > 1 and not _is_clutter(parts) and name.lower().endswith(SUFFIXES)
        )
        if not counts:
            images = sum(name.lower().endswith(SUFFIXES) for name in self.files.names)
            return text + (f"; found {images:,} image files that lie in no folder" if images else "")
        text += f"; found image files in {_few(counts)}"
        tops = {self._parts(name)[0] for name in self.files.names}
        if "images" in counts and "labels" in tops:
            return text + _DETECTOR
        holding_files = {parts[0] for name in self.files.names if len(parts := self._parts(name)) == 2}
        if len(counts) > 1 and holding_files >= counts.keys():
            return text + ": if these are the classes, move some of each into train/ and the others into test/"
        return text

    def _warn(self, ignored: list[str]) -> None:
        if ignored:
            warnings.warn(
                f"{self.files.path}: ignored {len(ignored):,} files that are no image files in a class's folder; the "
                f"first is {printable(ignored[0])}",
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
                f"{self.files.where(name)}: the {split} split has a class that the training split has not: "
                f"{printable(class_name)}; classes are {', '.join(names)}"
            )
        return labels[class_name]


def _split_named(folder: str) -> str | None:
    return next((split for split, names in _SPLITS.items() if folder.lower() in names), None)


def _is_clutter(parts: list[str]) -> bool:
    return any(part.startswith(".") or part in _CLUTTER for part in parts)


def _outer_folders(files: ImageFiles) -> str:
    """Return "" when train/ lies at the top, "outer/" or "outer/inner/" when everything lies in folders around it."""
    prefix = ""
    while True:
        tops = {rest.split("/")[0] for name in files.names if "/" in (rest := name.removeprefix(prefix))}
        tops = {top for top in tops if not _is_clutter([top])}
        if len(tops) != 1 or _split_named(top := tops.pop()) is not None:
            return prefix
        deeper = f"{prefix}{top}/"
        if not any("/" in name.removeprefix(deeper) for name in files.names if name.startswith(deeper)):
            return prefix  # a folder of files: a class, perhaps, but nothing around splits
        prefix = deeper


def _few(counts: Counter[str]) -> str:
    """A few names of folders, with how many image files each has."""
    shown = [f"{printable(name)}/ ({count:,})" for name, count in sorted(counts.items())[:5]]
    return ", ".join(shown) + (f" and {len(counts) - 5:,} more" if len(counts) > 5 else "")
