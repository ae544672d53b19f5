"""A table of files and their classes, `data.labels`, where folders do not name the classes."""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Sequence

from cnntrain.data.image_files import ImageFiles, UnreadableFileError
from cnntrain.errors import DataError
from cnntrain.printable import printable

_FILE_COLUMNS = ("file", "filename", "file_name", "image", "path", "name")
_CLASS_COLUMNS = ("class", "label", "category", "target")


def read_labels(files: ImageFiles, labels: str) -> list[tuple[str, str]]:
    """Return (file, class) of each line of a table.

    Parameters
    ----------
    files : ImageFiles
        Where the table is, and the files that it names: relative to its own folder, or to the top.
    labels : str
        The table's name: CSV with the columns file and class, by these names in a first line, or the first two.

    Raises
    ------
    DataError
        There is no such table, it is no text, or it names a file that is not there, or one twice.
    """
    where = files.where(labels)
    if labels not in files.names:
        tables = [printable(name) for name in files.names if name.lower().endswith(".csv")][:5]
        raise DataError(
            f"{where}: no such file; data.labels is a table in data.path; found {', '.join(tables) or 'no CSV files'}"
        )
    try:
        text = files.read(labels).decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline="")))
    except UnreadableFileError as error:
        raise DataError(f"{where}: {error}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: is no text in UTF-8 (byte {error.start:,})") from None
    except csv.Error as error:
        raise DataError(f"{where}: is no CSV ({error})") from None
    rows = [(number, line) for number, line in enumerate(lines, 1) if any(cell.strip() for cell in line)]
    if not rows:
        raise DataError(f"{where}: is empty; expected a file and its class on each line")
    known, folder = set(files.names), posixpath.dirname(labels)
    file_column, class_column, has_header = _columns(
        rows[0][1], where, _found(rows[0][1][0], folder, known) is not None
    )
    found: dict[str, tuple[int, str]] = {}
    missing: list[tuple[int, str]] = []
    for number, line in rows[has_header:]:
        if len(line) <= max(file_column, class_column) or not line[class_column].strip():
            raise DataError(
                f"{where}:{number}: expected a file and its class; found {printable(','.join(line))[:80]!r}"
            )
        name = _found(line[file_column].strip(), folder, known)
        if name is None:
            missing.append((number, line[file_column].strip()))
            continue
        if name in found:
            raise DataError(f"{where}:{number}: {printable(name)} has a class already, in line {found[name][0]}")
        found[name] = number, line[class_column].strip()
    if missing:
        number, first = missing[0]
        raise DataError(
            f"{where}:{number}: there is no file {printable(first)} (looked in the table's folder and in "
            f"{files.path}); {len(missing):,} of {len(rows) - has_header:,} files are not there"
        )
    return [(name, class_name) for name, (_, class_name) in found.items()]


def _columns(first: Sequence[str], where: str, is_file: bool) -> tuple[int, int, bool]:
    """Return the columns of file and class, and whether the first line names them."""
    if len(first) < 2:
        raise DataError(f"{where}: expected two columns, file and class, with a comma between; found one")
    names = [cell.strip().lower() for cell in first]
    file_column = next((names.index(name) for name in _FILE_COLUMNS if name in names), None)
    class_column = next((names.index(name) for name in _CLASS_COLUMNS if name in names), None)
    if is_file or (file_column is None and class_column is None):
        return 0, 1, False
    if file_column is None:
        return (1 if class_column == 0 else 0), class_column or 0, True
    return file_column, (1 if file_column == 0 else 0) if class_column is None else class_column, True


def _found(name: str, folder: str, known: set[str]) -> str | None:
    """Return the name of a file as `ImageFiles` has it; None if it is not there. Nothing outside can be named."""
    plain = posixpath.normpath(name.replace("\\", "/"))
    return next((each for each in (posixpath.join(folder, plain), plain) if each in known), None)
