"""Bytes around arrays that nobody may write."""

from __future__ import annotations

import weakref

import numpy as np
from numpy.typing import NDArray

from cnntrain.memory import LINE

MARGIN = 4 * LINE  # bytes on each side
ALIVE = 0xA5


class Canaries:
    """Reserves memory between canaries, and finds those that were written over."""

    def __init__(self) -> None:
        self._laid: list[tuple[weakref.ref[NDArray[np.uint8]], int, int]] = []

    def reserve(self, size: int) -> tuple[NDArray[np.uint8], int]:
        """Do what `memory.reserve` does."""
        memory = np.full(size + 2 * MARGIN + LINE, ALIVE, np.uint8)
        start = MARGIN + -(memory.ctypes.data + MARGIN) % LINE
        memory[start : start + size] = 0
        self._laid.append((weakref.ref(memory), start, size))
        return memory, start

    def check(self) -> None:
        """Fail if something was written beside an array that still exists; those that do not are forgotten."""
        self._laid = [laid for laid in self._laid if laid[0]() is not None]
        for reference, start, size in self._laid:
            memory = reference()
            if memory is None:
                continue
            before, after = memory[:start] != ALIVE, memory[start + size :] != ALIVE
            written = before.any() or after.any()
            places = [-start + int(before.argmax()), int(after.argmax())]
            memory[:start] = memory[start + size :] = ALIVE  # one test fails, not all that follow
            assert not written, f"written {places} bytes beside an array of {size} bytes"
