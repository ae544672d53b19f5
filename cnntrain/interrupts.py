"""Ctrl-C on the command line: never a traceback, whenever it comes and however often.

A process ends at once by `leave`. Everything that is written is safe against that, as against a kill.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = 130
_IMPORTING = "<frozen importlib._bootstrap>"  # the file of the frames that an import runs in

_catching = False
before_leaving: Callable[[int], None] | None = None  # told the exit code: one of several processes ends all


def install() -> None:
    """Take Ctrl-C over, unless whoever started this process has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _handle)
        sys.unraisablehook = _unraisable


def catch(yes: bool) -> None:
    """Say whether the next Ctrl-C may be raised as KeyboardInterrupt, because somebody catches it."""
    global _catching
    _catching = yes


def done() -> None:
    """The result stands: a Ctrl-C cannot change it any more."""
    if signal.getsignal(signal.SIGINT) is _handle:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def leave(code: int, message: str) -> NoReturn:
    """End the process here, without unwinding anything."""
    with contextlib.suppress(OSError):  # not through sys.stderr: a signal may come in the middle of a write to it
        os.write(2, message.encode())
    if before_leaving is not None:
        before_leaving(code)
    os._exit(code)


def _handle(number: int, frame: FrameType | None) -> None:
    if not _catching or _imports(frame):  # modules turn an exception in their import into any other
        leave(INTERRUPTED, "interrupted\n")
    catch(False)
    raise KeyboardInterrupt


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False


def _unraisable(hook: Any) -> None:
    """Leave where Python would print an interrupt and go on: in a destructor or a callback."""
    if issubclass(hook.exc_type, KeyboardInterrupt):
        leave(INTERRUPTED, "interrupted\n")
    sys.__unraisablehook__(hook)
