"""What the cache of decoded images holds, for the command that lists and clears it."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnntrain.data.decoded_cache import PART, decoded_folder, is_abandoned, read_index
from cnntrain.errors import DataError

_DAY = 24 * 3600
_NAME = re.compile(r"[0-9a-f]{64}|[0-9a-f]{16}-\w+\.part")  # what the cache makes; anything else is not ours to remove


@dataclass(frozen=True)
class Entry:
    """One entry.

    Attributes
    ----------
    folder : Path
    source : Path or None
        The directory or archive that was decoded; None if the entry does not say so: it is of another version, damaged
        or unfinished.
    size : int
        Bytes.
    days : float
        Since it was used last.
    """

    folder: Path
    source: Path | None
    size: int
    days: float

    @property
    def is_gone(self) -> bool:
        """Whether the data that were decoded are no longer there."""
        return self.source is not None and not self.source.exists()

    @property
    def state(self) -> str:
        """What is the matter with it; "" if nothing."""
        if self.folder.name.endswith(PART):
            return "unfinished"
        if self.source is None:
            return "of another version, or damaged"
        return "the data are gone" if self.is_gone else ""

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "folder": str(self.folder),
            "source": None if self.source is None else str(self.source),
            "bytes": self.size,
            "days_unused": round(self.days, 2),
            "state": self.state,
        }


def entries() -> list[Entry]:
    """Return all entries, those used last first; raises `DataError` if the cache's folder cannot be read."""
    root = decoded_folder()
    try:
        folders = [folder for folder in root.iterdir() if _NAME.fullmatch(folder.name) and not folder.is_symlink()]
        found = [_entry(folder) for folder in folders if folder.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{root}: cannot be read: {error.strerror or error}") from None
    return sorted(found, key=lambda entry: (entry.days, entry.folder.name))


def remove(entry: Entry) -> bool:
    """Remove an entry; False if it is left because another process writes it now. Raises `DataError`."""
    try:
        if entry.folder.name.endswith(PART) and not is_abandoned(entry.folder):
            return False
        shutil.rmtree(entry.folder)
    except FileNotFoundError:
        return True  # by another process, in between
    except OSError as error:
        raise DataError(f"{entry.folder}: cannot be removed: {error.strerror or error}") from None
    return True


def _entry(folder: Path) -> Entry:
    index = read_index(folder)
    size = sum(file.lstat().st_size for file in folder.iterdir())
    days = max(0.0, time.time() - folder.stat().st_mtime) / _DAY
    return Entry(folder, None if index is None else index.path, size, days)
