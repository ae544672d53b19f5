"""Where image files come from: a directory, or a zip archive that is read without being unpacked."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path

from cnntrain.errors import DataError
from cnntrain.printable import printable

LARGEST_FILE = 1 << 28  # bytes of one image file: more is a mistake or an attack
_DEFLATE_LIMIT = 1032  # the best ratio that deflate can reach: more is a lie or a bomb
_DEEPEST = 8  # folders below the top


class UnreadableFileError(Exception):
    """One file could not be read or decoded; the message is the reason, without the file's name.

    Attributes
    ----------
    advice : str
        What to do.
    """

    advice = "remove it, or set data.skip_bad: true to go on without such files (cnntrain data inspect lists them all)"


class Readable(ABC):
    """Files that have names."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return a file's content; raises `UnreadableFileError`. Safe to call from several threads."""


class ImageFiles(Readable):
    """A tree of files.

    Attributes
    ----------
    path : Path
        The directory or archive.
    names : list of str
        Relative paths of the regular files with forward slashes, sorted.
    left_out : list of str
        What was found and not looked into, each with the reason, for a warning.
    """

    path: Path
    names: list[str]
    left_out: list[str]

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


class DirectoryFiles(ImageFiles):
    """The files below a directory; symbolic links are followed, but never to a folder that leads to where they are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left_out = []
        self._found: dict[str, tuple[int, int]] = {}  # name -> size, time of change
        here = path.resolve()
        self._walk(path, "", tuple(_identity(folder.stat()) for folder in (here, *here.parents)))
        self.names = sorted(self._found)

    def _walk(self, folder: Path, prefix: str, above: tuple[tuple[int, int], ...], depth: int = 0) -> None:
        """Note the files below a folder; `above` are the folders that lead to it, and itself."""
        with os.scandir(folder) as entries:
            for entry in entries:
                name = prefix + entry.name
                try:
                    status = entry.stat()
                except OSError as error:  # for example a link that leads nowhere
                    self.left_out.append(f"{name}: {error.strerror or error}")
                    continue
                if stat.S_ISDIR(status.st_mode):
                    if _identity(status) in above:
                        self.left_out.append(f"{name} is a link to a folder above it")
                    elif depth == _DEEPEST:
                        self.left_out.append(f"{name} lies deeper than {_DEEPEST} folders")
                    else:
                        self._walk(folder / entry.name, f"{name}/", (*above, _identity(status)), depth + 1)
                elif stat.S_ISREG(status.st_mode):
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


def _identity(status: os.stat_result) -> tuple[int, int]:
    return (status.st_dev, status.st_ino)


class ZipFiles(ImageFiles):
    """The files in a zip archive; what its directory announces is checked before anything is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left_out = []
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
            raise DataError(f"{path}: not a zip file, truncated or corrupt ({error})") from None
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in self._archive.infolist():
            name = entry.filename.replace("\\", "/")  # as some programs for Windows write it
            if not name or name.endswith("/"):  # nothing, or a folder
                continue
            if name in self._entries:
                raise DataError(f"{path}: holds {printable(name)} twice")
            self._entries[name] = entry
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
        digest = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode())
        for name in self.names:
            digest.update(repr((name, self._entries[name].file_size, self._entries[name].CRC)).encode())
        return digest.hexdigest()

    def where(self, name: str) -> str:
        return f"{self.path}: {printable(name)}"
