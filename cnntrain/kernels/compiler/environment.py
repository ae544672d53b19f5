"""Environment variables that no kernel could run with: each is named in one line, before Numba fails because of it.

Numba itself answers with a traceback that does not name the variable, or dies.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from cnntrain.errors import EnvironmentVariableError
from cnntrain.kernels.compiler import trust

MOST_THREADS = max(1024, os.cpu_count() or 1)  # with some 100,000 OpenMP crashes
_LIBRARIES = ("tbb", "omp", "workqueue")
_LAYERS = ("default", *_LIBRARIES, "safe", "threadsafe", "forksafe")
_NEEDED = {"tbb": ("tbb",), "omp": ("omp",), "safe": ("tbb",), "threadsafe": ("tbb", "omp")}  # one of them
_INSTALL = {"tbb": "TBB (pip install tbb)", "omp": "OpenMP (Debian, Ubuntu: apt install libgomp1)"}


def check_variables() -> None:
    """Look at what variables say, without Numba: it reads them when it is imported.

    Raises `EnvironmentVariableError`.
    """
    for name, problem in _RULES.items():
        value = os.environ.get(name)
        if value is not None and (answer := problem(value)):
            _refuse(name, answer)


def check_machine() -> None:
    """Look whether what variables name is there: a library of threads, a processor, a folder.

    To be called after `check_variables`. Raises `EnvironmentVariableError`.
    """
    _check_layer()
    _check_processor()
    _check_folder()
    _check_locators()


def _refuse(name: str, answer: str) -> None:
    raise EnvironmentVariableError(f"{name}={os.environ[name]}: {answer}")


def _threads(value: str) -> str | None:
    if 1 <= _whole(value, 0) <= MOST_THREADS:
        return None
    return f"must be a whole number from 1 to {MOST_THREADS}; unset it to use all {os.cpu_count()} cores"


def _whole(value: str, otherwise: int) -> int:
    try:
        return int(value)
    except ValueError:
        return otherwise


def _uncompiled(value: str) -> str | None:
    if _whole(value, 1) == 0:
        return None
    return "kernels exist as machine code only; unset it (CNNTRAIN_CHECKED=1 helps to find faults in kernels)"


def _optimisation(value: str) -> str | None:
    return None if value in ("0", "1", "2", "3", "max") else "must be 0, 1, 2, 3 or max; unset it for 3"


def _layer(value: str) -> str | None:
    return None if value.lower() in _LAYERS else f"must be one of {', '.join(_LAYERS)}; unset it for the best there is"


def _priority(value: str) -> str | None:
    if sorted(value.split()) == sorted(_LIBRARIES):
        return None
    return f'must name all of {", ".join(_LIBRARIES)}, as in "{" ".join(_LIBRARIES)}"; unset it for that order'


def _features(value: str) -> str | None:
    wrong = [feature for feature in value.split(",") if feature and feature[0] not in "+-"]
    return f'each feature begins with + or -, as in "+avx2,-avx512f"; "{wrong[0]}" does not' if wrong else None


_RULES: dict[str, Callable[[str], str | None]] = {
    "NUMBA_NUM_THREADS": _threads,
    "NUMBA_DISABLE_JIT": _uncompiled,
    "NUMBA_OPT": _optimisation,
    "NUMBA_THREADING_LAYER": _layer,
    "NUMBA_THREADING_LAYER_PRIORITY": _priority,
    "NUMBA_CPU_FEATURES": _features,
}


def _check_layer() -> None:
    needed = _NEEDED.get(os.environ.get("NUMBA_THREADING_LAYER", "").lower(), ())
    if needed and not any(map(_installed, needed)):
        install = " or ".join(_INSTALL[library] for library in needed)
        _refuse("NUMBA_THREADING_LAYER", f"not found; install {install}, or unset it for the best there is")


def _installed(library: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a TBB that is too old
            if library == "tbb":
                import_module("numba.np.ufunc.parallel")._check_tbb_version_compatible()
            import_module(f"numba.np.ufunc.{library}pool")
    except ImportError:
        return False
    return True


def _check_processor() -> None:
    for name, keyword in (("NUMBA_CPU_NAME", "cpu"), ("NUMBA_CPU_FEATURES", "features")):
        value = os.environ.get(name)
        if value and "not a recognized" in (said := _what_llvm_says({keyword: value})):
            _refuse(name, f"LLVM knows no {said.partition(' is not')[0]}; unset it for this machine's processor")


def _what_llvm_says(target: dict[str, str]) -> str:
    """Return what LLVM writes to standard error, past Python, when it is asked for a processor."""
    from llvmlite import binding

    binding.initialize_native_target()
    try:
        stream = os.dup(2)
    except OSError:  # closed: nothing can be seen
        return ""
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            binding.Target.from_default_triple().create_target_machine(**target)
        finally:
            os.dup2(stream, 2)
            os.close(stream)
        file.seek(0)
        return file.read().decode(errors="replace")


def _check_folder() -> None:
    value = os.environ.get("NUMBA_CACHE_DIR")
    if not value:
        return
    try:
        trust.make(Path(value))
        tempfile.TemporaryFile(dir=value).close()
    except OSError as error:
        path = Path(value)
        what = "cannot be written" if path.is_dir() else "is no folder" if path.exists() else "cannot be made"
        _refuse("NUMBA_CACHE_DIR", f"{what} ({error.strerror}); set it to a folder that you may write, or unset it")


def _check_locators() -> None:
    name = "NUMBA_CACHE_LOCATOR_CLASSES"
    if not os.environ.get(name):
        return
    from numba.core.caching import CompileResultCacheImpl

    try:
        CompileResultCacheImpl(_check_locators)
    except RuntimeError as error:
        if "no locator available" not in str(error):  # that is no fault: nothing is kept then
            _refuse(name, "Numba finds no such classes; unset it to let cnntrain choose the folder")
