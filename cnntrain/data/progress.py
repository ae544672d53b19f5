"""Telling how far a reading, decoding or download has come."""

from __future__ import annotations

from collections.abc import Callable

# Called with what is being done, how much of it is done, and how much there is (0: not known).
Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
