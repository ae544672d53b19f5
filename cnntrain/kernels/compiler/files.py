"""The files of the cache: each is checked before it is used.

    32 bytes    SHA-256 of all that follows
    64 bytes    the stamp of sources and versions
    the rest    pickled: an index {key: name of the file with its machine code}, or (key, machine code)

A damaged pickle raises nearly anything, and damaged machine code ends the process.
"""

from __future__ import annotations

import os
import pickle
import uuid
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from numba.core.serialize import dumps

from cnntrain.kernels.compiler import trust

_DIGEST = 32


class KernelFiles:
    """An index, and machine code for each combination of types, of one kernel.

    Each entry says what it is: processes that compile at the same time overwrite each other's index, so that a file may
    hold code for other types than the index says. What cannot be used counts as not there, and is written anew.

    Parameters
    ----------
    folder : Path
    name : str
        With which the names of the files begin.
    stamp : str
        64 digits; files with another one are not used.
    """

    def __init__(self, folder: Path, name: str, stamp: str) -> None:
        self._folder, self._name = folder, name
        self._stamp = stamp.encode()

    def load(self, key: Any) -> Any:
        """Return what was saved for a key, or None."""
        name = self._index().get(key)
        entry = None if name is None else self._read(name)
        return entry[1] if entry is not None and entry[0] == key else None

    def holds(self, key: Any) -> bool:
        """Tell whether the index knows a key."""
        return key in self._index()

    def save(self, key: Any, data: Any) -> None:
        """Save something; raises `OSError`. The index comes last: it never names what is not there yet."""
        index = self._index()
        name = index.get(key)
        if name is None:
            names = (f"{self._name}.{number}.nbc" for number in count(1))
            name = next(name for name in names if name not in index.values())
        self._write(name, (key, data))
        if key not in index:
            self._write(self._index_name, {**index, key: name})

    def flush(self) -> None:
        """Forget everything."""
        self._write(self._index_name, {})

    @property
    def _index_name(self) -> str:
        return f"{self._name}.nbi"

    def _index(self) -> dict[Any, str]:
        return self._read(self._index_name) or {}

    def _read(self, name: str) -> Any:
        content = trust.read(self._folder / name)
        if content is None:
            return None
        rest = memoryview(content)[_DIGEST:]
        if sha256(rest).digest() != content[:_DIGEST] or rest[: len(self._stamp)] != self._stamp:
            return None
        try:
            return pickle.loads(rest[len(self._stamp) :])  # noqa: S301 - written by this user or root
        except Exception:  # of another build of Numba, perhaps
            return None

    def _write(self, name: str, value: Any) -> None:
        rest = self._stamp + dumps(value)
        path = self._folder / name
        temporary = path.with_name(f"{name}.tmp.{uuid.uuid4().hex[:16]}")
        try:
            with open(temporary, "xb", opener=_private) as file:
                file.write(sha256(rest).digest() + rest)
            _replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o644)  # others cannot write it, whatever the umask is


def _replace(temporary: Path, path: Path) -> None:
    try:
        temporary.replace(path)
    except OSError:
        if not path.is_dir():
            raise
        path.rmdir()  # raises if something is in it
        temporary.replace(path)
