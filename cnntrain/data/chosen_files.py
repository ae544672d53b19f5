"""Image files that somebody named: single ones, folders, zip archives, patterns, and names from standard input."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from cnntrain.data.decoding import SUFFIXES
from cnntrain.data.folder_names import is_clutter
from cnntrain.data.image_files import (
    LARGEST_FILE,
    DirectoryFiles,
    ImageFiles,
    Readable,
    UnreadableFileError,
    ZipFiles,
)
from cnntrain.errors import DataError

STDIN = "-"
_PATTERN = set("*?[")
_LONGEST_INPUT = 1 << 30  # bytes of names


class SingleFiles(Readable):
    """Any files, each by its own path."""

    def read(self, name: str) -> bytes:
        try:
            with open(name, "rb", opener=_open_without_waiting) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise UnreadableFileError("is no regular file")
                if status.st_size > LARGEST_FILE:
                    raise UnreadableFileError(f"has {status.st_size:,} bytes, at most {LARGEST_FILE:,} are allowed")
                return file.read(LARGEST_FILE + 1)
        except OSError as error:
            raise UnreadableFileError(_reason(name, error)) from None
        except ValueError as error:  # a NUL
            raise UnreadableFileError(_reason(name, error)) from None


class ChosenFiles(Readable):
    """The files that names stand for, in order; a name that stands for none is there too, and reading it says why.

    Parameters
    ----------
    targets : sequence of str
        A file; a folder or a zip archive, which stand for the image files in them; a pattern that the shell has left
        ("photos/**/*.jpg"); "-" for names read from `stdin`, one on each line or with NUL behind each.
    stdin : binary file or None

    Attributes
    ----------
    names : list of str
        As they were named; in a folder or an archive with its name in front.
    """

    def __init__(self, targets: Sequence[str], stdin: BinaryIO | None = None) -> None:
        self.names: list[str] = []
        self._single = SingleFiles()
        self._inside: dict[str, tuple[ImageFiles, str]] = {}
        self._reasons: dict[str, str] = {}
        for target in targets:
            for name in _read_names(stdin) if target == STDIN and stdin is not None else [target]:
                self._add(name)

    def read(self, name: str) -> bytes:
        if name in self._reasons:
            raise UnreadableFileError(self._reasons[name])
        if name in self._inside:
            files, inner = self._inside[name]
            return files.read(inner)
        return self._single.read(name)

    def _add(self, name: str) -> None:
        try:
            status = Path(name).stat()
        except (OSError, ValueError) as error:
            found = sorted(_matching(name))
            if not found:
                self._refuse(name, _reason(name, error))
            for each in found:
                self._add_existing(each, Path(each).is_dir())
            return
        self._add_existing(name, stat.S_ISDIR(status.st_mode))

    def _add_existing(self, name: str, is_folder: bool) -> None:
        if not is_folder and not name.lower().endswith(".zip"):
            self.names.append(name)
            return
        try:
            files: ImageFiles = DirectoryFiles(Path(name)) if is_folder else ZipFiles(Path(name))
        except DataError as error:
            self._refuse(name, str(error).removeprefix(f"{name}: "))
            return
        except OSError as error:
            self._refuse(name, f"cannot be read: {error.strerror or error}")
            return
        inner = [each for each in files.names if each.lower().endswith(SUFFIXES) and not is_clutter(each.split("/"))]
        if not inner:
            self._refuse(name, f"no image files in it, among {len(files.names):,}")
        for each in inner:
            whole = f"{name.rstrip('/')}/{each}"
            self._inside[whole] = (files, each)
            self.names.append(whole)

    def _refuse(self, name: str, reason: str) -> None:
        self._reasons[name] = reason
        self.names.append(name)


def _matching(name: str) -> Iterator[str]:
    """Yield what a pattern stands for; nothing for a name that is none."""
    if _PATTERN & set(name) and "\0" not in name:
        yield from glob.iglob(name, recursive=True)  # noqa: PTH207, of any path


def _reason(name: str, error: OSError | ValueError) -> str:
    if isinstance(error, ValueError):
        return "is no name of a file"
    if isinstance(error, FileNotFoundError):
        return "matches no file" if _PATTERN & set(name) else "no such file"
    return f"cannot be read: {error.strerror or error}"


def _open_without_waiting(name: str, flags: int) -> int:
    """Open a file for reading; a pipe would make us wait for a writer."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def _read_names(stdin: BinaryIO) -> list[str]:
    content = stdin.read(_LONGEST_INPUT + 1)
    if len(content) > _LONGEST_INPUT:
        raise DataError(f"standard input: more than {_LONGEST_INPUT:,} bytes of names")
    lines = content.split(b"\0") if b"\0" in content else content.splitlines()
    return [os.fsdecode(line) for line in lines if line.strip()]
