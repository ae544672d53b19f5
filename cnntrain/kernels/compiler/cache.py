"""A cache of machine code that is never stale, and that processes fill together."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import IO, Any

import llvmlite
import numba
from numba.core import event
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache

from cnntrain.kernels.compiler import trust
from cnntrain.kernels.compiler.checked import CHECKED
from cnntrain.kernels.compiler.files import KernelFiles
from cnntrain.kernels.compiler.versions import KNOWN

try:
    import fcntl
except ImportError:  # Windows: whoever needs a kernel compiles it
    fcntl = None  # type: ignore[assignment]

PATIENCE = 60.0  # seconds to wait for another process that compiles the same kernel
WAITING = "cnntrain:waiting"  # the event of such a wait; its data is {"kernel": name}


_KERNELS = Path(__file__).resolve().parents[1]  # cnntrain/kernels
_GROUND = (_KERNELS.parent / "shape.py",)  # what kernels use from outside their package


@cache
def source_stamp() -> str:
    """SHA-256 over all files that kernels are made of, in the order of their names, and the compiler's versions."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for path in (*sorted(_KERNELS.rglob("*.py")), *_GROUND):
        digest.update(path.relative_to(_KERNELS.parent).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _stamp_for(file: Path) -> str:
    if _KERNELS in file.resolve().parents:
        return source_stamp()
    return hashlib.sha256(source_stamp().encode() + file.read_bytes()).hexdigest()


class _TrustedFolder:
    """Of a folder for the cache that Numba knows: it is used only if nobody else could write there."""

    def ensure_cache_path(self) -> None:
        trust.prepare(Path(self.get_cache_path()))  # type: ignore[attr-defined]


_trusted: list[Any] = [
    type(f"Trusted{known.__name__}", (_TrustedFolder, known), {}) for known in CompileResultCacheImpl._locator_classes
]


class _TrustedFolders(CompileResultCacheImpl):
    _locator_classes = _trusted


class KernelCache(FunctionCache):
    """Numba's cache of one kernel's machine code, kept for exactly the sources that it was made of.

    Numba's own stamp is the file of the compiled function alone, although machine code depends on every kernel file it
    inlines from. Here the stamp covers the sources of the whole kernel package (`kernels/`), and for a kernel
    outside it (in a file of the user's own layers) that file too: editing any of them, or installing another version,
    recompiles. Nothing is taken from folders and files that others could have written (`trust.py`), and nothing that is
    damaged (`files.py`).
    """

    _impl_class = _TrustedFolders

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        folder = Path(self._cache_path)
        trust.prepare(folder)  # which NUMBA_CACHE_LOCATOR_CLASSES may have chosen
        stamp = _stamp_for(Path(function.__code__.co_filename))
        name = self._impl.filename_base + (".checked" if CHECKED else "")
        self._cache_file = KernelFiles(folder, name, stamp)
        self._turn = _Turn(folder / f"{name}.lock", function.__name__)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return machine code, perhaps that which another process is just compiling; None to compile it here."""
        found = self._load(sig, target_context)
        if found is None and self._turn.take():
            found = self._load(sig, target_context)
            if found is not None:
                self._turn.end()
        return found

    def holds(self, sig: Any, target_context: Any) -> bool:
        """Tell whether there is machine code for these types, as far as the index says."""
        return bool(self._cache_file.holds(self._index_key(sig, target_context.codegen())))

    def _load(self, sig: Any, target_context: Any) -> Any:
        if not KNOWN:
            return super().load_overload(sig, target_context)
        # Numba would load all that it can compile with, which takes longer than everything else here; machine code
        # needs nothing but the functions that count references
        from numba.core.runtime.nrt import rtsys

        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the machine code; where that fails (a full disk) the next process compiles again."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            trust.warn_once(f"compiled kernels could not be kept in {self._cache_path}: {error}")
        finally:
            self._turn.end()


class LateKernelCache:
    """The `KernelCache` of a kernel, made at its first call: looking for a folder takes longer than making the kernel.

    Where no folder can be used (neither NUMBA_CACHE_DIR nor the package nor the user's own), nothing is kept.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    @cached_property
    def _made(self) -> KernelCache | NullCache:
        try:
            return KernelCache(self._function)
        except trust.UntrustedFolderError:
            return NullCache()
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
            return NullCache()


class _Turn:
    """A kernel's turn to be compiled: processes that share a cache take it one after the other.

    The operating system ends it with the process. Where files cannot be locked, nobody waits.
    """

    def __init__(self, path: Path, kernel: str) -> None:
        self._path, self._kernel = path, kernel
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """Wait until no other process has it; False if that takes too long, or cannot be told."""
        if fcntl is None or self._file is not None:
            return False
        try:
            file = _open_lock(self._path)
        except OSError:
            return False
        try:
            if not _lock(file):
                with event.trigger_event(WAITING, data={"kernel": self._kernel}):
                    end = time.monotonic() + PATIENCE
                    while not _lock(file):
                        if time.monotonic() > end:
                            raise TimeoutError
                        time.sleep(0.01)
        except OSError:  # too long, or a file system without locks
            file.close()
            return False
        self._file = file
        return True

    def end(self) -> None:
        """Let the next process have it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _open_lock(path: Path) -> IO[bytes]:
    """Open or make a file to lock; raises `OSError`, also for what is no regular file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file")
    return os.fdopen(descriptor, "r+b")


def _lock(file: IO[bytes]) -> bool:
    """Lock a file for this process; False if another has it. Raises `OSError` where files cannot be locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
