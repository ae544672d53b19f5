"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from cnntrain.errors import RunFolderError


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
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        _remove(temporary)
        kept = f"; the previous {path.name} is intact" if path.exists() else ""
        raise RunFolderError(
            f"{path}: could not be written ({len(content):,} bytes): {error.strerror or error}{kept}"
        ) from error
    except BaseException:  # a second Ctrl-C
        _remove(temporary)
        raise
    _sync_folder(path.parent)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _sync_folder(folder: Path) -> None:
    # Some file systems refuse to sync a folder; the file itself is safe, only its new name might be lost.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
