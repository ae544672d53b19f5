"""Decoded images kept on disk, so that the second start is quick and the images need not fit into memory.

An entry is a folder named by a SHA-256 over everything that the result depends on: the path, size and time of the
source, how it was decoded, Pillow's version. It holds one file of raw uint8 per split and `index.json`, with a digest
of each split's pixels and one of the index itself. It is written under another name and renamed when complete; an
entry whose digests are not right is not used. Nothing is unpickled. The folder's time is that of the last use.
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
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from cnntrain.settings import NonNegativeInt, PositiveInt, Settings

VERSION = 3  # of the format, and of what decoding does; a change makes older entries unused
INDEX = "index.json"
PART = ".part"
ABANDONED = 24 * 3600  # seconds after which an unfinished entry is taken for that of a process that died


class SplitIndex(Settings):
    """One split of an entry: the labels of its images, and the files that were skipped, with the reason.

    `digest` is BLAKE2b over the pixels; "" until they are written.
    """

    labels: tuple[NonNegativeInt, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    digest: str = ""


class CacheIndex(Settings):
    """What an entry holds. `source` is a file: address; `digest` is BLAKE2b over everything else in the index."""

    source: str
    shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    splits: dict[str, SplitIndex]
    digest: str = ""

    def own_digest(self) -> str:
        """What `digest` must be."""
        return hashlib.blake2b(self.model_dump_json(exclude={"digest"}).encode()).hexdigest()

    @property
    def path(self) -> Path:
        """The directory or archive that was decoded."""
        return Path(os.fsdecode(unquote_to_bytes(self.source.removeprefix("file://"))))


def read_index(folder: Path) -> CacheIndex | None:
    """Return the index of an entry; None if there is none that is whole and of this version."""
    try:
        index = CacheIndex.model_validate_json((folder / INDEX).read_bytes())
    except (OSError, ValidationError):
        return None
    return index if index.digest == index.own_digest() else None


def cache_folder() -> Path:
    """The user's cache: $CNNTRAIN_CACHE_DIR, or cnntrain/ in $XDG_CACHE_HOME or ~/.cache."""
    if chosen := os.environ.get("CNNTRAIN_CACHE_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cnntrain"


def decoded_folder() -> Path:
    """Where the entries are."""
    return cache_folder() / "decoded"


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
        self.source = source.resolve()
        key = json.dumps([VERSION, str(self.source), depends_on], sort_keys=True)
        self.root = decoded_folder()
        self.folder = self.root / hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()

    def read(self) -> tuple[CacheIndex, dict[str, NDArray[np.uint8]]] | None:
        """Return the index and the images of each split, mapped into memory; None if there is no entry.

        A damaged one counts as none, with a warning.
        """
        if not self.folder.exists():
            return None
        index = read_index(self.folder)
        try:
            if index is None:
                raise ValueError("its index is damaged")
            images = {name: self._mapped(name, index) for name in index.splits}
        except (OSError, ValueError) as error:
            warnings.warn(
                f"{self.folder}: decoded images kept here are not what was written "
                f"({error.strerror if isinstance(error, OSError) else error}); decoding again",
                stacklevel=4,
            )
            return None
        with contextlib.suppress(OSError):
            os.utime(self.folder)  # used now
        return index, images

    def _mapped(self, name: str, index: CacheIndex) -> NDArray[np.uint8]:
        path = self.folder / f"{Path(name).name}.u8"
        shape = (len(index.splits[name].labels), *index.shape)
        if path.stat().st_size != math.prod(shape):
            raise ValueError(f"{path.name} does not fit the index")
        # copy on write: to a kernel the array is like any other, and the file stays as it is
        images = np.asarray(np.memmap(path, np.uint8, "c", shape=shape))
        if _digest_of(images) != index.splits[name].digest:
            raise ValueError(f"{path.name} has another digest")
        return images

    def writer(self, size: int) -> CacheWriter:
        """Begin an entry of at most `size` bytes; raises OSError, also when the disk has no room for it."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._remove_outdated()
        free = shutil.disk_usage(self.root).free
        if free < size:
            raise OSError(f"{size:,} bytes are needed, {free:,} are free")
        return CacheWriter(Path(tempfile.mkdtemp(prefix=f"{self.folder.name[:16]}-", suffix=PART, dir=self.root)), self)

    def _remove_outdated(self) -> None:
        """Remove entries made of an earlier state of the same source, and unfinished ones that nobody writes."""
        for folder in self.root.iterdir():
            with contextlib.suppress(OSError):
                if folder.name.endswith(PART):
                    outdated = is_abandoned(folder)
                else:
                    index = read_index(folder)
                    outdated = index is not None and index.path == self.source and self._is_older(folder)
                if outdated:
                    shutil.rmtree(folder, ignore_errors=True)

    def _is_older(self, folder: Path) -> bool:
        """Tell whether the source has changed since an entry of it was written."""
        return self.source.stat().st_mtime > (folder / INDEX).stat().st_mtime


def is_abandoned(folder: Path) -> bool:
    """Tell whether an unfinished entry is that of a process that died, by its age."""
    return time.time() - folder.stat().st_mtime > ABANDONED


def _digest_of(images: NDArray[np.uint8]) -> str:
    """BLAKE2b over the pixels."""
    return hashlib.blake2b(images.reshape(-1).data).hexdigest()


class CacheWriter:
    """Writes an entry; leaving the `with` block without `finish` removes what was written."""

    def __init__(self, folder: Path, cache: DecodedCache) -> None:
        self._folder, self._cache = folder, cache
        self._file: BinaryIO | None = None
        self._digests: dict[str, Any] = {}

    def __enter__(self) -> CacheWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        shutil.rmtree(self._folder, ignore_errors=True)  # after `finish` it is gone already

    def begin(self, split: str) -> None:
        """Begin the file of a split."""
        self._close()
        self._digest = self._digests[split] = hashlib.blake2b()
        self._file = (self._folder / f"{split}.u8").open("wb")

    def write(self, images: NDArray[np.uint8]) -> None:
        """Append images to the split."""
        assert self._file is not None  # begin() comes first; for mypy
        content = images.tobytes()
        self._digest.update(content)
        self._file.write(content)

    def finish(self, index: CacheIndex) -> None:
        """Make the entry visible; if another process was quicker, its entry (the same) stays."""
        self._close()
        splits = {
            name: split.model_copy(update={"digest": self._digests[name].hexdigest()})
            for name, split in index.splits.items()
        }
        whole = index.model_copy(update={"splits": splits})
        whole = whole.model_copy(update={"digest": whole.own_digest()})
        (self._folder / INDEX).write_text(whole.model_dump_json())
        try:
            self._folder.rename(self._cache.folder)
        except OSError:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it was warned of when it was read first
                there = self._cache.read()
            if there is None:  # a damaged entry: replace it
                shutil.rmtree(self._cache.folder, ignore_errors=True)
                self._folder.rename(self._cache.folder)

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
