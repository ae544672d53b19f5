"""Saying what is being compiled: the first run on a machine must not look like a hang."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event
from numba.core.dispatcher import Dispatcher

from cnntrain.kernels.compiler import trust
from cnntrain.kernels.compiler.cache import WAITING
from cnntrain.kernels.compiler.estimate import Estimate
from cnntrain.kernels.layout import to_lanes


class _Listener(event.Listener):
    def __init__(self, callback: Callable[[str], None]) -> None:
        self._callback = callback
        self._depth = 0

    def on_start(self, event: Any) -> None:
        # a kernel compiles the serial functions that it calls: name the outermost only
        if self._depth == 0:
            self._callback(event.data["dispatcher"].py_func.__name__)
        self._depth += 1

    def on_end(self, event: Any) -> None:
        self._depth -= 1


class _Waiting(event.Listener):
    def __init__(self, callback: Callable[[str], None]) -> None:
        self._callback = callback

    def on_start(self, event: Any) -> None:
        self._callback(event.data["kernel"])

    def on_end(self, event: Any) -> None:
        pass


@contextmanager
def announce(callback: Callable[[str], None]) -> Iterator[None]:
    """Call `callback` with the name of each kernel that really compiles (not of those loaded from the cache)."""
    with event.install_listener("numba:compile", _Listener(callback)):
        yield


@contextmanager
def reported(
    line: Callable[[str], None],
    warning: Callable[[str], None] = trust.warn,
    estimate: Callable[[], Estimate] = lambda: Estimate(None),
) -> Iterator[list[str]]:
    """Say with `line` what compiles, here or elsewhere, and where it is kept; gives the names so far of those here.

    With `warning`, say which folders and files of the cache could not be used. `estimate`, called when the first kernel
    is about to compile, tells how many there will be.
    """
    compiled: list[str] = []
    made: list[Estimate] = []

    def begin() -> Estimate:
        if not made:
            folder = cache_folder()
            note = f"once; kept in {folder}" if folder else "each time: no folder for them can be used"
            line(f"compiling kernels for this machine ({note})")
            made.append(estimate())
        return made[0]

    def compiling(name: str) -> None:
        progress = begin().next(name)
        compiled.append(name)
        line(f"  {name}{progress}")

    def waiting(name: str) -> None:
        begin().found()
        line(f"  {name}, by another process")

    with (
        announce(compiling),
        event.install_listener(WAITING, _Waiting(waiting)),
        trust.warnings_to(warning),
    ):
        yield compiled


def cache_folder() -> str | None:
    """Return the folder that keeps the machine code; None if none can be used (then set NUMBA_CACHE_DIR)."""
    folder: str | None = to_lanes.stats.cache_path
    return folder


def loaded_kernels() -> list[str]:
    """Return the names of the kernels whose machine code this process has taken from the cache."""
    found = {
        value.py_func.__name__
        for name, module in list(sys.modules.items())
        if name.startswith("cnntrain.kernels.")
        for value in vars(module).values()
        if isinstance(value, Dispatcher) and value.stats.cache_hits
    }
    return sorted(found)
