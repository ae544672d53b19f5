"""What readers check before they open a file."""

from __future__ import annotations

from pathlib import Path

from cnntrain.errors import DataError


def refuse_other_than_files(path: Path) -> None:
    """Raise `DataError` for a folder, and for a pipe or device: opening one may wait for ever, reading never end.

    What is not there is left to the reader, which knows what to say. May raise OSError.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is a {'folder' if path.is_dir() else 'device or pipe'}, not a file")
