"""Writing that survives a crash, a full disk and a loss of power: whole files, added lines, new folders.

Every file of a run folder is written here, by calls of `os` alone, so that tests can let each of them fail.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from cnntrain.errors import RunFolderError

_ADDING = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
_NEW = os.O_WRONLY | os.O_TRUNC | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}  # a device, or a file system that has no such thing


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash, a full disk or a loss of power leaves the old content or the new, nothing between.

    The content goes to a temporary file in the same folder, is synced to the disk, and takes the name in one step.

    Raises
    ------
    RunFolderError
        The file could not be written; an older one of that name is untouched and the temporary file is removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, _NEW, 0o666)
        try:
            _write(descriptor, content)
            _sync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)  # noqa: PTH105, as tests of disks watch it
    except OSError as error:
        remove(temporary)
        kept = f"; the previous {path.name} is intact" if path.exists() else ""
        raise RunFolderError(
            f"{path}: could not be written ({len(content):,} bytes): {error.strerror or error}{kept}"
        ) from error
    except BaseException:  # Ctrl-C
        remove(temporary)
        raise
    _sync_folder(path.parent)


class Addition:
    """A file that grows at its end; as a context manager it closes the file.

    Parameters
    ----------
    path : Path
        It may be new.

    Raises
    ------
    RunFolderError
        The file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._new = path, not path.exists()
        try:
            self._descriptor = os.open(path, _ADDING, 0o666)
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be written: {error.strerror or error}") from error

    def __enter__(self) -> Addition:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._descriptor).st_size

    def add(self, content: bytes) -> None:
        """Add to the file, all of it or nothing; raises `RunFolderError`."""
        before = self.size
        try:
            _write(self._descriptor, content)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, before)
            raise self._failed(error) from error

    def sync(self) -> None:
        """Return when everything is on the disk; raises `RunFolderError`."""
        try:
            _sync(self._descriptor)
        except OSError as error:
            raise self._failed(error) from error
        if self._new:
            _sync_folder(self._path.parent)
            self._new = False

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):  # what could not be written was reported when it was
            os.close(self._descriptor)

    def _failed(self, error: OSError) -> RunFolderError:
        return RunFolderError(f"{self._path}: could not be written: {error.strerror or error}")


def remove(path: Path) -> None:
    """Remove a file that is no longer needed; one that cannot be removed stays."""
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108, as above


def make_folder(path: Path, *, new: bool = False) -> None:
    """Make a folder and those above it, so that a loss of power leaves them; raises OSError.

    With `new`, one that is there already is an error.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=not new)
    for folder in missing:
        _sync_folder(folder.parent)


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]  # a disk that is nearly full takes a part


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def _sync_folder(folder: Path) -> None:
    # Some file systems refuse to sync a folder; the file itself is safe, only its new name might be lost.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
