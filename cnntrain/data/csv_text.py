"""A CSV file as text: lines with their numbers, plain or gzip, each failure a `DataError`; which fields are numbers."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from cnntrain.data.files import refuse_other_than_files
from cnntrain.errors import DataError

_LONGEST = 1 << 26  # characters of one line: more is no line
_GZIP = b"\x1f\x8b"


class Lines(NamedTuple):
    """Some lines of a file, with their numbers from 1; empty lines are left out."""

    numbers: list[int]
    texts: list[str]


def chunks(path: Path, size: int, skip: bool = False) -> Iterator[Lines]:
    """Give the lines that are not empty, `size` at a time; `skip` leaves out the first of them."""
    with _Opened(path) as stream:
        lines = (pair for pair in _numbered(stream, path) if pair[1].strip())
        if skip:
            next(lines, None)
        while chunk := list(islice(lines, size)):
            yield Lines([number for number, _ in chunk], [text for _, text in chunk])


def fields_of(line: str) -> list[str]:
    """Return a line's fields."""
    try:
        return next(csv.reader([line]), [])
    except csv.Error:  # a field of more than 131,072 characters, a NUL
        return line.split(",")


def is_number(field: str) -> bool:
    """Tell whether a field is a number as NumPy reads it: ASCII, without Python's underscores."""
    text = field.strip()
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text


def is_whole(field: str) -> bool:
    """Tell whether a field is a whole number of at most 18 digits."""
    digits = field.strip()
    digits = digits[1:] if digits[:1] in ("-", "+") else digits
    return digits.isascii() and digits.isdigit() and len(digits) < 19


def _numbered(stream: TextIO, path: Path) -> Iterator[tuple[int, str]]:
    number = 1
    while line := stream.readline(_LONGEST + 1):
        if len(line) > _LONGEST:
            raise DataError(f"{path}: line {number}: longer than {_LONGEST:,} characters: no CSV file")
        yield number, line
        number += 1


class _Opened:
    """The text of a file, plain or gzip, with every failure as a `DataError`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> TextIO:
        try:
            refuse_other_than_files(self._path)
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
