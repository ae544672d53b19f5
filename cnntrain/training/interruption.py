"""Ctrl-C and SIGTERM during training: stop after the step at hand, with everything saved."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Turn the first SIGINT or SIGTERM into a flag, and let a second one leave at once.

    As a context manager it takes the two signals over and gives them back at the end. Outside the main thread, where
    Python does not deliver signals, it does nothing.

    Attributes
    ----------
    received : int or None
        Number of the first signal.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise SystemExit(exit_code(number))
        self.received = number
        # Not through sys.stderr: the signal may have come in the middle of a write to it.
        with contextlib.suppress(OSError, ValueError):
            os.write(sys.stderr.fileno(), b"\nstopping; once more to leave at once\n")


def exit_code(number: int) -> int:
    """Return the shell's exit code for a process that a signal ended: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + number


def signal_name(number: int) -> str:
    """Return what people call a signal."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
