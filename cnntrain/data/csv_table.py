"""One CSV file of labels and pixels: which column is what, its numbers, and what it looks like if they do not fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.csv_text import Lines, chunks, fields_of, is_number, is_whole
from cnntrain.data.source import ImageShape
from cnntrain.errors import ConfigError, DataError
from cnntrain.printable import printable

_LINES = 512  # per call of the parser
_COUNTING = 10  # columns from which a first line 0, 1, 2, ... is taken for names
_LABEL_NAMES = ("label", "labels", "class", "target", "y", "digit", "emotion", "category")
_INDEX_NAMES = ("", "unnamed: 0", "index", "id")
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}


class Layout(NamedTuple):
    """What the settings say about the files."""

    label: int | str
    header: bool | str
    shape: tuple[int, ...] | None
    floats: bool
    class_names: Sequence[str]
    first_label: int


class Table:
    """One file: its columns are known when it is made, from its first lines.

    Parameters
    ----------
    path : Path
        The file, plain or gzip.
    layout : Layout
        What the settings say.
    like : Table, optional
        The training file, whose images this file's must resemble.

    Raises
    ------
    DataError, ConfigError
        The file cannot be read, or its columns do not fit the settings.
    """

    def __init__(self, path: Path, layout: Layout, like: Table | None = None) -> None:
        self.path, self._layout = path, layout
        self._convert = False  # whether a label was met that needs `_label_number`
        first = next(chunks(path, 2), None)
        if first is None:
            raise DataError(f"{path}: empty")
        self._first = [fields_of(text) for text in first.texts]
        self._columns = len(self._first[0])
        self._check_separator(first.texts[0])
        self._header = self._has_header() if layout.header == "auto" else bool(layout.header)
        if like is not None and self._columns == like._columns - 1:
            raise DataError(
                f"{path}: has {self._columns} columns, one fewer than {like.path}: does it lack the labels, as the "
                "test.csv of a competition does? Nothing can be measured on it; data.test must name a file with labels"
            )
        self._label = self._label_column()
        self.shape = self._image_shape()
        if like is not None and self.shape != like.shape:
            raise DataError(
                f"{path}: images of {_times(self.shape)}, but {like.path} has {_times(like.shape)} (channels x rows x "
                "columns)"
            )

    def likely_mistake(self) -> str:
        """Say which other column may hold the labels, for a file whose labels are all the same."""
        names = self._names()
        other = next((n for at, n in enumerate(names) if at != self._label and n.lower() in _LABEL_NAMES), None)
        if other is not None:
            return f"; its header names a column {printable(other)!r}: set data.label: {printable(other)}"
        where = f"column {self._label}" + (f" ({printable(names[self._label])})" if names else "")
        return f"; labels are read from {where}: if they are elsewhere, set data.label (-1 is the last column)"

    def read(self, pixels: bool = True) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Images (N, C, H, W), uint8 or float32, and labels; without `pixels` the images are left out."""
        images, labels = [], []
        floats = self._layout.floats
        for lines in chunks(self.path, _LINES, skip=self._header):
            table = self._parsed(lines, None if pixels else [self._label])
            labels.append(table[:, self._label if pixels else 0].astype(np.int64))
            if pixels:
                images.append(np.delete(table, self._label, axis=1).astype(np.float32 if floats else np.uint8))
        if not labels:
            raise DataError(f"{self.path}: holds no images" + (" (nothing but its header)" if self._header else ""))
        shape = (-1, *self.shape)
        return (np.concatenate(images).reshape(shape) if pixels else np.empty(0)), np.concatenate(labels)

    # --- columns ---

    def _has_header(self) -> bool:
        """Tell whether the first line names the columns: something in it is no number, or it counts 0, 1, 2, ..."""
        fields = self._first[0]
        if len(fields) >= _COUNTING and fields == [str(index) for index in range(len(fields))]:
            return True
        others = [field for field in fields if not is_number(field)]
        return bool(others) and not (len(others) == 1 and others[0].strip() in self._layout.class_names)

    def _names(self) -> list[str]:
        return [field.strip() for field in self._first[0]] if self._header else []

    def _check_separator(self, line: str) -> None:
        """Refuse a file of one column in which something else than commas separates numbers."""
        counts = {separator: line.strip().count(separator) for separator in _SEPARATORS}
        separator = max(counts, key=lambda each: counts[each])
        if self._columns <= 2 and counts[separator] >= 3 and counts[separator] > line.count(","):
            parts = [part for part in self._first[0][0].split(separator) if part.strip()]
            if self._columns == 1 and len(parts) > 3:
                raise DataError(
                    f"{self.path}: line 1 has {counts[separator]} {_SEPARATORS[separator]} and no comma: columns must "
                    "be separated by commas"
                )

    def _label_column(self) -> int:
        label, columns = self._layout.label, self._columns
        if isinstance(label, str):
            names = self._names()
            if label not in names:
                found = f"found {', '.join(map(printable, names[:8]))}" if self._header else "it has no header"
                raise ConfigError(f"data.label: {self.path} has no column named {label!r}; {found}")
            return names.index(label)
        if not -columns <= label < columns:
            raise ConfigError(f"data.label: {self.path} has {columns} columns, there is no column {label}")
        return label % columns

    def _image_shape(self) -> ImageShape:
        pixels, shape = self._columns - 1, self._layout.shape
        if shape is None:
            side = math.isqrt(pixels)
            if pixels == 0 or side * side != pixels:
                advice = self._looks_like() or "set data.shape: [rows, columns]"
                raise DataError(f"{self.path}: has {pixels} pixels per image, which make no square: {advice}")
            return (1, side, side)
        whole = (1, *shape) if len(shape) == 2 else shape
        if math.prod(whole) != pixels:
            advice = self._looks_like()
            raise DataError(
                f"{self.path}: has {pixels} pixels per image, but data.shape {_times(shape)} means {math.prod(whole)}"
                + (f": {advice}" if advice else "")
            )
        return (whole[0], whole[1], whole[2])

    def _looks_like(self) -> str:
        """Say what the first lines look like when their number of columns does not fit; "" if like nothing known."""
        for line in self._first:
            for column, field in enumerate(line):
                if len(parts := field.split()) > 3 and all(map(is_number, parts)):
                    return (
                        f"column {column} holds {len(parts):,} numbers separated by spaces (as in FER2013): give every "
                        "pixel a column of its own"
                    )
        if self._header and self._names()[0].lower() in _INDEX_NAMES:
            name = printable(self._names()[0])
            called = f"is called {name!r}" if name else "has no name"
            return f"its first column {called}: an index? Leave it out (pandas: to_csv(index=False))"
        values = [line[0].strip() for line in self._first[int(self._header) :]]
        fits_without = math.isqrt(self._columns - 2) ** 2 == self._columns - 2 if self._columns > 2 else False
        if not self._header and fits_without and values in (["0", "1"], ["1", "2"]):
            return (
                "does its first column count the lines? Leave it out (pandas: to_csv(index=False)); otherwise set "
                "data.shape: [rows, columns]"
            )
        return ""

    # --- numbers ---

    def _parsed(self, lines: Lines, columns: list[int] | None) -> NDArray[Any]:
        """Numbers of some lines; if anything is wrong, the line and column of the first wrong thing."""
        table = None if self._convert else self._table(lines, columns)
        if table is None:
            self._convert = True
            table = self._table(lines, columns)
        if table is None:
            raise self._first_problem(lines)
        if columns is not None:
            return table
        floats, pixels = self._layout.floats, np.delete(table, self._label, axis=1)
        with np.errstate(over="ignore"):
            wrong = ~np.isfinite(pixels.astype(np.float32)) if floats else (pixels < 0) | (pixels > 255)
        labels = table[:, self._label]
        if wrong.any() or table.shape[1] != self._columns or (floats and not _whole(labels).all()):
            raise self._first_problem(lines)
        return table

    def _table(self, lines: Lines, columns: list[int] | None) -> NDArray[Any] | None:
        """The numbers of some lines; None if there is something else among them."""
        try:
            return np.loadtxt(
                lines.texts,
                delimiter=",",
                dtype=np.float64 if self._layout.floats else np.int64,
                comments=None,
                quotechar='"',
                ndmin=2,
                usecols=columns,
                converters={self._label: self._label_number} if self._convert else None,
                encoding=None,
            )
        except (ValueError, OverflowError):
            return None

    def _label_number(self, field: str) -> int:
        """The label that a field means: 3, 3.0 or a class's name; raises ValueError."""
        text = field.strip()
        if is_whole(text):
            return int(text)
        if is_number(text) and _whole(number := np.float64(text)):
            return int(number)
        if text in self._layout.class_names:
            return self._layout.class_names.index(text) + self._layout.first_label
        raise ValueError

    def _first_problem(self, lines: Lines) -> DataError:
        for number, text in zip(*lines, strict=True):
            fields = fields_of(text)
            if len(fields) != self._columns:
                return DataError(
                    f"{self.path}: line {number}: has {len(fields)} columns, the first line has {self._columns}"
                )
            for column, field in enumerate(fields):
                problem = self._problem(field, column == self._label)
                if problem:
                    return DataError(f"{self.path}: line {number}, column {column}: {field.strip()[:40]!r} {problem}")
        return DataError(f"{self.path}: lines {lines.numbers[0]} to {lines.numbers[-1]}: cannot be read as numbers")

    def _problem(self, field: str, is_label: bool) -> str:
        if is_label:
            try:
                self._label_number(field)
            except ValueError:
                known = "data.class_names has" if self._layout.class_names else "data.class_names would have to list"
                text = "" if is_number(field) or not field.strip() else f", or names that {known}"
                return f"is no label: labels must be whole numbers{text}"
            return ""
        if self._layout.floats:
            with np.errstate(over="ignore"):
                good = is_number(field) and bool(np.isfinite(np.float32(field.strip())))
            return "" if good else "is no pixel: pixels must be finite numbers within the range of float32"
        if is_whole(field) and 0 <= int(field.strip()) <= 255:  # int() alone knows fewer blanks than NumPy and strip()
            return ""
        return "is no pixel: pixels must be whole numbers from 0 to 255 (others: data.values: float)"


def _whole(numbers: Any) -> Any:
    """Where numbers are whole, and exact in float64."""
    return (numbers == np.floor(numbers)) & (np.abs(numbers) < 1 << 53)


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
