"""Where image files come from: a directory, or a zip archive that is read without being unpacked."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path

from cnntrain.errors import DataError

LARGEST_FILE = 1 << 28  # bytes of one image file: more is a mistake or an attack
_DEFLATE_LIMIT = 1032  # the best ratio that deflate can reach: more is a lie or a bomb
_DEEPEST = 8  # folders below the top; also ends loops of symbolic links


class UnreadableFileError(Exception):
    """One file could not be read or decoded; the message is the reason, without the file's name."""


class ImageFiles(ABC):
    """A tree of files.

    Attributes
    ----------
    path : Path
        The directory or archive.
    names : list of str
        Relative paths of the regular files with forward slashes, sorted.
    """

    path: Path
    names: list[str]

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return a file's content; raises `UnreadableFileError`. Safe to call from several threads."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A text that changes when files are added, removed or replaced (judged by sizes and times)."""

    @abstractmethod
    def where(self, name: str) -> str:
        """The full name of a file, for messages."""


def open_image_files(path: Path) -> ImageFiles:
    """Open a directory or a zip archive; raises `DataError`."""
    try:
        if path.is_dir():
            return DirectoryFiles(path)
        if not path.exists():
            raise DataError(
                f"{path}: no such folder or zip file (looked for {path.resolve()}); expected in it: "
                "train/<class>/<image files> and test/<class>/<image files>. Set data.path."
            )
        if not path.is_file():
            raise DataError(f"{path}: is neither a folder nor a file")
        return ZipFiles(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def printable(name: str) -> str:
    """Replace what could confuse a terminal in a name that a stranger chose."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)


class DirectoryFiles(ImageFiles):
    """The files below a directory; symbolic links are followed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, tuple[int, int]] = {}  # name -> size, time of change
        self._walk(path, "", 0)
        self.names = sorted(self._found)

    def _walk(self, folder: Path, prefix: str, depth: int) -> None:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.is_dir():
                    if depth < _DEEPEST:
                        self._walk(folder / entry.name, f"{name}/", depth + 1)
                elif entry.is_file():
                    status = entry.stat()
                    self._found[name] = (status.st_size, status.st_mtime_ns)

    def read(self, name: str) -> bytes:
        try:
            if self._found[name][0] > LARGEST_FILE:
                raise UnreadableFileError(f"has {self._found[name][0]:,} bytes, at most {LARGEST_FILE:,} are allowed")
            with (self.path / name).open("rb") as file:
                return file.read(LARGEST_FILE + 1)
        except OSError as error:
            raise UnreadableFileError(f"cannot be read: {error.strerror or error}") from None

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in self.names:
            digest.update(repr((name, *self._found[name])).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def where(self, name: str) -> str:
        return printable(str(self.path / name))


class ZipFiles(ImageFiles):
    """The files in a zip archive; what its directory announces is checked before anything is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
            raise DataError(f"{path}: not a zip file, truncated or corrupt ({error})") from None
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in self._archive.infolist():
            if entry.is_dir():
                continue
            if entry.filename in self._entries:
                raise DataError(f"{path}: holds {printable(entry.filename)} twice")
            self._entries[entry.filename] = entry
        self._refuse_bombs()
        self.names = sorted(self._entries)

    def _refuse_bombs(self) -> None:
        """Refuse an archive that announces more than its bytes can hold, as overlapping or lying entries do."""
        on_disk = self.path.stat().st_size
        compressed = sum(entry.compress_size for entry in self._entries.values())
        announced = sum(entry.file_size for entry in self._entries.values())
        if compressed > on_disk or announced > _DEFLATE_LIMIT * on_disk:
            raise DataError(
                f"{self.path}: refused: its directory announces {announced:,} bytes from {compressed:,} compressed "
                f"ones, but the file has {on_disk:,} bytes: corrupt, or a zip bomb"
            )

    def read(self, name: str) -> bytes:
        entry = self._entries[name]
        if entry.file_size > LARGEST_FILE:
            raise UnreadableFileError(f"has {entry.file_size:,} bytes, at most {LARGEST_FILE:,} are allowed")
        if entry.flag_bits & 1:
            raise UnreadableFileError("is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnreadableFileError("is packed with another method than deflate")
        if entry.file_size > _DEFLATE_LIMIT * max(entry.compress_size, 1):
            raise UnreadableFileError(
                f"announces {entry.file_size:,} bytes from {entry.compress_size:,} compressed ones"
            )
        try:
            with self._archive.open(entry) as stream:
                content = stream.read(entry.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
            raise UnreadableFileError(f"is corrupt in the archive ({error})") from None
        if len(content) != entry.file_size:
            raise UnreadableFileError(f"is truncated: {len(content):,} of {entry.file_size:,} bytes")
        return content

    def fingerprint(self) -> str:
        status = self.path.stat()
        return f"{status.st_size} {status.st_mtime_ns}"

    def where(self, name: str) -> str:
        return f"{self.path}: {printable(name)}"
