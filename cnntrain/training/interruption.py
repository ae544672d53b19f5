"""Ctrl-C, SIGTERM and SIGHUP during training: stop after the step at hand, with everything saved."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from cnntrain.interrupts import leave

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
HANGUP = getattr(signal, "SIGHUP", None)


class StopSignals:
    """Turn the first SIGINT, SIGTERM or SIGHUP into a flag, and let a second one leave at once.

    As a context manager it takes the signals over and gives them back at the end; a SIGHUP that is ignored (`nohup`)
    stays so. Outside the main thread, where Python does not deliver signals, it does nothing.

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
            for number in SIGNALS:
                if number != HANGUP or signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            leave(exit_code(number), "\n")
        self.received = number
        # Not through sys.stderr: the signal may have come in the middle of a write to it.
        with contextlib.suppress(OSError):
            os.write(2, b"\nstopping; once more to leave at once\n")


def exit_code(number: int) -> int:
    """Return the shell's exit code for a process that a signal ended: SIGINT 130, SIGTERM 143, SIGHUP 129."""
    return 128 + number


def signal_name(number: int) -> str:
    """Return what people call a signal."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
