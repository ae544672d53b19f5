"""Source `csv`: one image per line, its label and its pixels separated by commas."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from cnntrain.data.progress import Progress, silent
from cnntrain.data.settings import ClassNames, DataSettings
from cnntrain.data.source import ImageShape, Loaded, Source, Split, checked_labels, classes_of, names_of
from cnntrain.errors import ConfigError, DataError
from cnntrain.settings import PositiveInt

_LINES = 512  # per call of the parser
_LONGEST = 1 << 26  # characters of one line: more is no line
_GZIP = b"\x1f\x8b"

FileName = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]
ImageSize = Annotated[tuple[PositiveInt, ...], Field(min_length=2, max_length=3)]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class CsvSettings(DataSettings):
    """Keys of `data: {source: csv, ...}`; `path` is the folder with the files, plain or gzip.

    Each line is one image: its label and its pixels, row after row (of several channels the first comes first, whole).
    """

    train: FileName = Field("train.csv", description="Name of the file with the training images.")
    test: FileName = Field("test.csv", description="Name of the file with the test images.")
    validation_file: FileName | None = Field(None, description="Name of a file with a validation split of its own.")
    label: int | str = Field(
        0, description="Where the label is: a column's number, from 0 (-1 is the last), or its name in the header."
    )
    header: Literal["auto"] | bool = Field(
        "auto", description="Whether the first line names the columns; auto: if something in it is no number."
    )
    shape: Annotated[ImageSize | None, BeforeValidator(_tuple)] = Field(
        None, description="Size of an image: [rows, columns] or [channels, rows, columns]; without it, square and grey."
    )
    values: Literal["byte", "float"] = Field(
        "byte", description="What pixels are: whole numbers from 0 to 255, or any finite numbers."
    )
    class_names: ClassNames = Field(
        None, description="Names in the order of the labels; without them the labels themselves are the names."
    )


class _Lines(NamedTuple):
    """Some lines of a file, with their numbers from 1; empty lines are left out."""

    numbers: list[int]
    texts: list[str]


class Csv(Source[CsvSettings]):
    """Comma-separated labels and pixels."""

    name = "csv"
    Settings = CsvSettings

    def __init__(self, settings: CsvSettings, progress: Progress = silent) -> None:
        super().__init__(settings, progress)
        self.folder = Path(settings.path).expanduser()

    def describe(self) -> tuple[ImageShape, int]:
        table = _Table(self.folder / self.settings.train, self.settings)
        if self.settings.class_names:
            return table.shape, len(self.settings.class_names)
        labels = table.read(pixels=False)[1]
        return table.shape, classes_of(labels, None, str(table.path))

    def load(self) -> Loaded:
        names = {"train": self.settings.train, "test": self.settings.test}
        if self.settings.validation_file is not None:
            names["validation"] = self.settings.validation_file
        tables = {name: _Table(self.folder / file, self.settings) for name, file in names.items()}
        for table in tables.values():
            if table.shape != tables["train"].shape:
                raise DataError(
                    f"{table.path}: images of {_times(table.shape)}, but {tables['train'].path} has "
                    f"{_times(tables['train'].shape)} (channels x rows x columns)"
                )
        read = {name: table.read() for name, table in tables.items()}
        classes = classes_of(read["train"][1], self.settings.class_names, str(tables["train"].path))
        splits = {
            name: Split(images, checked_labels(labels, classes, str(tables[name].path)))
            for name, (images, labels) in read.items()
        }
        return Loaded(
            splits["train"], splits["test"], names_of(classes, self.settings.class_names), splits.get("validation")
        )


class _Table:
    """One file: its columns are known when it is made, from its first line."""

    def __init__(self, path: Path, settings: CsvSettings) -> None:
        self.path, self._settings = path, settings
        with self._opened() as stream:
            first = next(self._chunks(stream, 1), None)
        if first is None:
            raise DataError(f"{path}: empty")
        fields = next(csv.reader(first.texts))
        self._columns = len(fields)
        numbers = all(_is_number(field) for field in fields)
        self._header = not numbers if settings.header == "auto" else settings.header
        self._label = self._label_column(fields)
        self.shape = self._image_shape()

    def _label_column(self, fields: list[str]) -> int:
        label, columns = self._settings.label, self._columns
        if isinstance(label, str):
            names = [field.strip() for field in fields]
            if not self._header or label not in names:
                found = f"found {', '.join(names[:8])}" if self._header else "it has no header"
                raise ConfigError(f"data.label: {self.path} has no column named {label!r}; {found}")
            return names.index(label)
        if not -columns <= label < columns:
            raise ConfigError(f"data.label: {self.path} has {columns} columns, there is no column {label}")
        return label % columns

    def _image_shape(self) -> ImageShape:
        pixels, shape = self._columns - 1, self._settings.shape
        if shape is None:
            side = math.isqrt(pixels)
            if pixels == 0 or side * side != pixels:
                raise DataError(
                    f"{self.path}: has {pixels} pixels per image, which make no square: set data.shape: [rows, columns]"
                )
            return (1, side, side)
        whole = (1, *shape) if len(shape) == 2 else shape
        if math.prod(whole) != pixels:
            raise DataError(
                f"{self.path}: has {pixels} pixels per image, but data.shape {_times(shape)} means {math.prod(whole)}"
            )
        return (whole[0], whole[1], whole[2])

    def read(self, pixels: bool = True) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Images (N, C, H, W), uint8 or float32, and labels; without `pixels` the images are left out."""
        images, labels = [], []
        floats = self._settings.values == "float"
        with self._opened() as stream:
            for lines in self._chunks(stream, _LINES, skip=self._header):
                table = self._parsed(lines, floats, None if pixels else [self._label])
                labels.append(table[:, self._label if pixels else 0].astype(np.int64))
                if pixels:
                    images.append(np.delete(table, self._label, axis=1).astype(np.float32 if floats else np.uint8))
        if not labels:
            raise DataError(f"{self.path}: holds no images" + (" (nothing but its header)" if self._header else ""))
        shape = (-1, *self.shape)
        return (np.concatenate(images).reshape(shape) if pixels else np.empty(0)), np.concatenate(labels)

    def _parsed(self, lines: _Lines, floats: bool, columns: list[int] | None) -> NDArray[Any]:
        """Numbers of some lines; if anything is wrong, the line and column of the first wrong thing."""
        try:
            table = np.loadtxt(
                lines.texts,
                delimiter=",",
                dtype=np.float64 if floats else np.int64,
                comments=None,
                quotechar='"',
                ndmin=2,
                usecols=columns,
            )
        except (ValueError, OverflowError):
            raise self._first_problem(lines, floats) from None
        if columns is not None:
            return table
        pixels = np.delete(table, self._label, axis=1)
        with np.errstate(over="ignore"):
            wrong = ~np.isfinite(pixels.astype(np.float32)) if floats else (pixels < 0) | (pixels > 255)
        labels = table[:, self._label]
        if wrong.any() or table.shape[1] != self._columns or (floats and (labels != np.floor(labels)).any()):
            raise self._first_problem(lines, floats)
        return table

    def _first_problem(self, lines: _Lines, floats: bool) -> DataError:
        for number, text in zip(*lines, strict=True):
            fields = next(csv.reader([text]), [])
            if len(fields) != self._columns:
                return DataError(
                    f"{self.path}: line {number}: has {len(fields)} columns, the first line has {self._columns}"
                )
            for column, field in enumerate(fields):
                problem = self._problem(field, column == self._label, floats)
                if problem:
                    return DataError(f"{self.path}: line {number}, column {column}: {field.strip()[:40]!r} {problem}")
        return DataError(f"{self.path}: lines {lines.numbers[0]} to {lines.numbers[-1]}: cannot be read as numbers")

    def _problem(self, field: str, is_label: bool, floats: bool) -> str:
        if is_label:
            whole = _is_number(field) and float(field) == math.floor(float(field)) if floats else _is_whole(field)
            return "" if whole else "is no label: labels must be whole numbers"
        if floats:
            with np.errstate(over="ignore"):
                good = _is_number(field) and bool(np.isfinite(np.float32(float(field))))
            return "" if good else "is no pixel: pixels must be finite numbers within the range of float32"
        if _is_whole(field) and 0 <= int(field) <= 255:
            return ""
        return "is no pixel: pixels must be whole numbers from 0 to 255 (others: data.values: float)"

    def _opened(self) -> _Opened:
        return _Opened(self.path)

    def _chunks(self, stream: TextIO, size: int, skip: bool = False) -> Iterator[_Lines]:
        """Give the lines that are not empty, some at a time; `skip` leaves out the first of them."""
        lines = (pair for pair in self._numbered(stream) if pair[1].strip())
        if skip:
            next(lines, None)
        while chunk := list(islice(lines, size)):
            yield _Lines([number for number, _ in chunk], [text for _, text in chunk])

    def _numbered(self, stream: TextIO) -> Iterator[tuple[int, str]]:
        number = 1
        while line := stream.readline(_LONGEST + 1):
            if len(line) > _LONGEST:
                raise DataError(f"{self.path}: line {number}: longer than {_LONGEST:,} characters: no CSV file")
            yield number, line
            number += 1


class _Opened:
    """The text of a file, plain or gzip, with every failure as a `DataError`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> TextIO:
        try:
            with self._path.open("rb") as file:
                compressed = file.read(2) == _GZIP
            opener: Any = gzip.open if compressed else open
            self._stream: TextIO = opener(self._path, "rt", encoding="utf-8-sig", newline=None)
            return self._stream
        except FileNotFoundError:
            raise DataError(
                f"{self._path}: no such file (looked for {self._path.resolve()}); data.path is the folder, data.train "
                "and data.test are the names of the files"
            ) from None
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read: {error.strerror or error}") from None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._stream.close()
        if isinstance(error, UnicodeDecodeError):
            raise DataError(f"{self._path}: not a text file in UTF-8 (byte {error.start} of a block)") from None
        if isinstance(error, EOFError | zlib.error | OSError | csv.Error):
            raise DataError(f"{self._path}: truncated or corrupt ({error})") from None


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _is_whole(field: str) -> bool:
    digits = field.strip()
    digits = digits[1:] if digits[:1] in ("-", "+") else digits
    return digits.isascii() and digits.isdigit() and len(digits) < 19


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
