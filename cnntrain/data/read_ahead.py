"""Decompressing files while the program still starts.

Reading MNIST is mostly decompression, and starting a training mostly imports of Python's: the one needs no lock of
Python's, the other holds it. So the large files are decompressed on threads of their own, each at one go. Only what is
as it should be is used; anything else is read once more when its turn comes, by the reader that says what is wrong.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

_begun: dict[Path, Future[bytes | None]] = {}
_GZIP = zlib.MAX_WBITS | 16  # with gzip's header and checksum


def begin(files: Iterable[Path], announced: Callable[[Path], int]) -> None:
    """Begin to decompress gzip files; `announced` returns how many bytes a file must hold, or raises."""
    for path in files:
        pool = ThreadPoolExecutor(1)
        _begun[path] = pool.submit(_inflated, path, announced)
        pool.shutdown(wait=False)


def take(path: Path) -> bytes | None:
    """Return what is in a file, once; None if nobody began to read it, or it is not as it should be."""
    future = _begun.pop(path, None)
    return None if future is None else future.result()


def _inflated(path: Path, announced: Callable[[Path], int]) -> bytes | None:
    with suppress(Exception):  # whatever it is, the reader finds it too
        size, inflation = announced(path), zlib.decompressobj(_GZIP)
        content = inflation.decompress(path.read_bytes(), size + 1)
        if len(content) == size and inflation.eof and not inflation.unused_data:
            return content
    return None
