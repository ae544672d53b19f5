"""Saying what is being compiled: the first run on a machine must not look like a hang."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event


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


@contextmanager
def announce(callback: Callable[[str], None]) -> Iterator[None]:
    """Call `callback` with the name of each kernel that really compiles (not of those loaded from the cache)."""
    with event.install_listener("numba:compile", _Listener(callback)):
        yield
