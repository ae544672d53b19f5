"""Decoded images kept on disk, so that the second start is quick and the images need not fit into memory.

An entry is a folder named by a SHA-256 over everything that the result depends on: the path, size and time of the
source, how it was decoded, Pillow's version. It holds one file of raw uint8 per split and `index.json`. It is written
under another name and renamed when complete; an entry that does not fit its index is not used. Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from cnntrain.settings import NonNegativeInt, PositiveInt, Settings

VERSION = 1  # of the format; a change makes older entries unused
_INDEX = "index.json"
_PART = ".part"
_ABANDONED = 24 * 3600  # seconds after which an unfinished entry is taken for that of a process that died


class SplitIndex(Settings):
    """One split of an entry: the labels of its images, and the files that were skipped, with the reason."""

    labels: tuple[NonNegativeInt, ...]
    skipped: tuple[tuple[str, str], ...] = ()


class CacheIndex(Settings):
    """What an entry holds."""

    source: str
    shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    splits: dict[str, SplitIndex]


def cache_folder() -> Path:
    """The user's cache: $CNNTRAIN_CACHE_DIR, or cnntrain/ in $XDG_CACHE_HOME or ~/.cache."""
    if chosen := os.environ.get("CNNTRAIN_CACHE_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cnntrain"


class DecodedCache:
    """The entry of one data set.

    Parameters
    ----------
    source : Path
        The directory or archive.
    depends_on : mapping
        Everything else that the decoded images depend on; JSON values.
    """

    def __init__(self, source: Path, depends_on: Mapping[str, Any]) -> None:
        self.source = str(source.resolve())
        key = json.dumps([VERSION, self.source, depends_on], sort_keys=True)
        self._root = cache_folder() / "decoded"
        self.folder = self._root / hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()

    def read(self) -> tuple[CacheIndex, dict[str, NDArray[np.uint8]]] | None:
        """Return the index and the images of each split, mapped into memory; None if there is no sound entry."""
        try:
            index = CacheIndex.model_validate_json((self.folder / _INDEX).read_bytes())
            images = {name: self._mapped(name, index) for name in index.splits}
        except (OSError, ValidationError, ValueError):
            return None
        return index, images

    def _mapped(self, name: str, index: CacheIndex) -> NDArray[np.uint8]:
        path = self.folder / f"{Path(name).name}.u8"
        shape = (len(index.splits[name].labels), *index.shape)
        if path.stat().st_size != math.prod(shape):
            raise ValueError("the file does not fit the index")
        # copy on write: to a kernel the array is like any other, and the file stays as it is
        return np.asarray(np.memmap(path, np.uint8, "c", shape=shape))

    def writer(self, size: int) -> CacheWriter:
        """Begin an entry of at most `size` bytes; raises OSError, also when the disk has no room for it."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._remove_outdated()
        free = shutil.disk_usage(self._root).free
        if free < size:
            raise OSError(f"{size:,} bytes are needed, {free:,} are free")
        return CacheWriter(
            Path(tempfile.mkdtemp(prefix=f"{self.folder.name[:16]}-", suffix=_PART, dir=self._root)), self
        )

    def _remove_outdated(self) -> None:
        """Remove entries made of an earlier state of the same source, and unfinished ones that nobody writes."""
        for folder in self._root.iterdir():
            with contextlib.suppress(OSError, ValidationError):
                if folder.name.endswith(_PART):
                    outdated = time.time() - folder.stat().st_mtime > _ABANDONED
                else:
                    index = CacheIndex.model_validate_json((folder / _INDEX).read_bytes())
                    outdated = index.source == self.source and self._is_older(folder)
                if outdated:
                    shutil.rmtree(folder, ignore_errors=True)

    def _is_older(self, folder: Path) -> bool:
        """Tell whether the source has changed since an entry of it was written."""
        return Path(self.source).stat().st_mtime > (folder / _INDEX).stat().st_mtime


class CacheWriter:
    """Writes an entry; leaving the `with` block without `finish` removes what was written."""

    def __init__(self, folder: Path, cache: DecodedCache) -> None:
        self._folder, self._cache = folder, cache
        self._file: BinaryIO | None = None

    def __enter__(self) -> CacheWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        shutil.rmtree(self._folder, ignore_errors=True)  # after `finish` it is gone already

    def begin(self, split: str) -> None:
        """Begin the file of a split."""
        self._close()
        self._file = (self._folder / f"{split}.u8").open("wb")

    def write(self, images: NDArray[np.uint8]) -> None:
        """Append images to the split."""
        assert self._file is not None  # begin() comes first; for mypy
        self._file.write(images.tobytes())

    def finish(self, index: CacheIndex) -> None:
        """Make the entry visible; if another process was quicker, its entry (the same) stays."""
        self._close()
        (self._folder / _INDEX).write_text(index.model_dump_json())
        try:
            self._folder.rename(self._cache.folder)
        except OSError:
            if self._cache.read() is None:  # a damaged entry: replace it
                shutil.rmtree(self._cache.folder, ignore_errors=True)
                self._folder.rename(self._cache.folder)

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
