"""The two decorators of every kernel, and a cache that is never stale."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

try:
    import fcntl
except ImportError:  # Windows: whoever needs a kernel compiles it
    fcntl = None  # type: ignore[assignment]

PATIENCE = 60.0  # seconds to wait for another process that compiles the same kernel
FLOATING_POINT = {"contract"}  # fused multiply-add allowed; never nnan/ninf: a NaN must stay visible


@cache
def source_stamp() -> str:
    """SHA-256 over all kernel files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _stamp_for(file: Path) -> str:
    if file.resolve().parent == Path(__file__).resolve().parent:
        return source_stamp()
    return source_stamp() + hashlib.sha256(file.read_bytes()).hexdigest()


class KernelCache(FunctionCache):
    """Numba's cache of one kernel's machine code, kept for exactly the sources that it was made of.

    Numba's own stamp is the file of the compiled function alone, although machine code depends on every kernel file it
    inlines from. Here the stamp covers the sources of the whole kernel package (`kernels/*.py`), and for a kernel
    outside it (in a file of the user's own layers) that file too: editing any of them, or installing another version,
    recompiles.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = _stamp_for(Path(function.__code__.co_filename))
        self._cache_file = _KernelCacheFile(self._cache_path, self._impl.filename_base, stamp)
        self._turn = _Turn(Path(self._cache_path, f"{self._impl.filename_base}.lock"))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return machine code, perhaps that which another process is just compiling; None to compile it here."""
        found = super().load_overload(sig, target_context)
        if found is None and self._turn.take():
            found = super().load_overload(sig, target_context)
            if found is not None:
                self._turn.end()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the machine code; where that fails (a full disk) the next process compiles again."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            warnings.warn(f"compiled kernels could not be kept in {self._cache_path}: {error}", stacklevel=2)
        finally:
            self._turn.end()


class _Turn:
    """A kernel's turn to be compiled: processes that share a cache take it one after the other.

    The operating system ends it with the process. Where files cannot be locked, nobody waits.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """Wait until no other process has it; False if that takes too long, or cannot be told."""
        if fcntl is None or self._file is not None:
            return False
        try:
            file = self._path.open("ab")
        except OSError:
            return False
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                break
            else:
                self._file = file
                return True
        file.close()
        return False

    def end(self) -> None:
        """Let the next process have it."""
        if self._file is not None:
            self._file.close()
            self._file = None


class _KernelCacheFile(IndexDataCacheFile):
    """Each entry says what it is, and what cannot be read is compiled again.

    Numba writes its index before the machine code, and processes that compile at the same time overwrite each other's
    index: a file may hold the code of older sources, or of other types, than the index says.
    """

    def save(self, key: Any, data: Any) -> None:
        super().save(key, (self._source_stamp, key, data))

    def load(self, key: Any) -> Any:
        try:
            entry = super().load(key)
        except Exception:  # cut off or overwritten: unpickling raises nearly anything
            Path(self._index_path).unlink(missing_ok=True)
            return None
        if not isinstance(entry, tuple) or len(entry) != 3 or entry[:2] != (self._source_stamp, key):
            return None
        return entry[2]


def _njit(function: Callable[..., Any], **options: Any) -> Any:
    return numba.njit(error_model="numpy", fastmath=FLOATING_POINT, nogil=True, **options)(function)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a serial loop that parallel kernels call; not cached on its own, it is part of its callers.

    It neither makes nor keeps arrays, so Numba need not count references to them: around branches the atomic counting
    of an inner loop's arguments took up to a third of its time.
    """
    return _njit(function, _nrt=False)


def inlined_kernel(function: Callable[..., Any]) -> Any:
    """Compile a `kernel` whose body LLVM must copy into its callers, where it is called so often that calls count."""
    return _njit(function, _nrt=False, forceinline=True)


def parallel_kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel that Python calls, with `prange` loops over units that own what they write; cached.

    Where no folder for the cache can be written (neither NUMBA_CACHE_DIR nor the package nor the user's own), every
    process compiles for itself.
    """
    dispatcher = _njit(function, parallel=True)
    try:
        # Numba offers no public way to choose the cache; the attribute has had this name since 0.20.
        dispatcher._cache = KernelCache(function)
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
    return dispatcher
