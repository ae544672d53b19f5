"""Telling how far a reading, decoding or download has come."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm

# Called with what is being done, how much of it is done, and how much there is (0: not known).
Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


class ProgressBars:
    """A `Progress` that shows one bar at a time on a terminal; anywhere else it stays silent.

    Parameters
    ----------
    unit : str
        "B" counts bytes with prefixes; anything else is written behind the numbers.
    stream : file
        stderr by default.
    """

    def __init__(self, unit: str = "images", stream: TextIO | None = None) -> None:
        self._unit = unit
        self._stream = sys.stderr if stream is None else stream
        self._bar: tqdm | None = None
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Draw; a bar whose end is reached disappears."""
        if self._bar is None or self._what != what:
            self.close()
            self._what = what
            in_bytes = self._unit == "B"
            self._bar = tqdm(
                total=total or None, desc=what, unit="B" if in_bytes else f" {self._unit}", unit_scale=in_bytes,
                disable=not self._stream.isatty(), file=self._stream, leave=False, dynamic_ncols=True,
            )  # fmt: skip
        self._bar.update(done - self._bar.n)
        if total and done >= total:
            self.close()

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
