"""stdout and stderr that break without breaking what writes to them: a reader that left, a full disk, a lost terminal.

What a stream will not take is dropped, and the stream drained to nowhere, so that Python's own last flush says nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from functools import cached_property
from typing import Any, TextIO

STANDARD = (0, 1, 2)


class Lasting:
    """A stream whose writes never fail again.

    Parameters
    ----------
    stream : file
        Everything else is as it has it.
    forgives : type or tuple of types
        Errors that are none: the others are raised, each stream's first one only.
    empty : str or bytes
        Nothing, in the stream's type. It is not written: a full device refuses even that, and click asks every stream.

    Attributes
    ----------
    lost : Exception or None
        The first error.
    """

    def __init__(self, stream: Any, forgives: Any = (OSError, ValueError), empty: str | bytes = "") -> None:
        self._stream, self._forgives, self._empty = stream, forgives, empty
        self.lost: Exception | None = None

    @classmethod
    def of(cls, stream: Any) -> Lasting:
        """Return the stream itself if it is one already."""
        return stream if isinstance(stream, cls) else cls(stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @cached_property
    def buffer(self) -> Lasting:
        """The stream of bytes below a text stream."""
        return Lasting(self._stream.buffer, self._forgives, b"")

    def write(self, text: str) -> int:
        """Write, or drop the text."""
        if text != self._empty:
            self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, or drop what waits."""
        self._attempt(self._stream.flush)

    def isatty(self) -> bool:
        """Whether it is a terminal that is still there."""
        with contextlib.suppress(OSError, ValueError):
            return self.lost is None and bool(self._stream.isatty())
        return False

    def _attempt(self, action: Callable[[], object]) -> None:
        if self.lost is not None:
            return
        try:
            action()
        except UnicodeError:
            raise
        except (OSError, ValueError) as error:  # ValueError: it is closed
            self.lost = error
            self._drain()
            if not isinstance(error, self._forgives):
                raise

    def _drain(self) -> None:
        """Send what the stream has gathered nowhere, if it is one of the process's own."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if self._stream.fileno() in STANDARD:
                _nowhere(self._stream.fileno())
                self._stream.flush()


def reason(error: Exception) -> str:
    """Return what an error of a stream says, without its number."""
    return getattr(error, "strerror", None) or str(error)


def guard() -> None:
    """Make stdout and stderr last.

    A reader of stdout who left (`| head`) got what he wanted: the rest of the output is dropped, and the exit code is
    what it would have been. Other errors of stdout are raised once. stderr never fails. A stream that was closed from
    the start leads nowhere, and no file that is opened later can take its place.
    """
    for descriptor in STANDARD:
        if not _is_open(descriptor):
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout = _lasting(sys.stdout, 1, BrokenPipeError)
    sys.stderr = _lasting(sys.stderr, 2, (OSError, ValueError))


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _lasting(stream: TextIO | None, descriptor: int, forgives: Any) -> Any:
    if stream is None:
        stream = open(descriptor, "w", encoding="utf-8", closefd=False)  # noqa: SIM115, for good
    with contextlib.suppress(AttributeError, ValueError):
        getattr(stream, "reconfigure")(errors="backslashreplace")  # noqa: B009, for characters that the locale lacks
    return Lasting(stream, forgives)


def _nowhere(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
