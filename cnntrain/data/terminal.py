"""Loading data for somebody who watches: progress bars, and warnings as plain text."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

from cnntrain.data.dataset import DataSet, load_data, load_split
from cnntrain.data.settings import DataSettings
from cnntrain.data.source import Split
from cnntrain.printable import message
from cnntrain.terminal import bar_for


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
        self._bar: Any = None
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Draw; a bar whose end is reached disappears."""
        if self._bar is None or self._what != what:
            self.close()
            self._what = what
            in_bytes = self._unit == "B"
            kind, visible = bar_for(self._stream)
            self._bar = kind(
                total=total or None, desc=what, unit="B" if in_bytes else f" {self._unit}", unit_scale=in_bytes,
                disable=not visible, file=self._stream, leave=False, dynamic_ncols=True,
            )  # fmt: skip
        self._bar.update(done - self._bar.n)
        if total and done >= total:
            self.close()

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


Result = TypeVar("Result")


def load_and_tell(settings: DataSettings, seed: int, warn: Callable[[str], None]) -> DataSet:
    """Load a config's data as `load_data` does; what the loader warns of is passed to `warn` as plain text."""
    return _told(lambda: load_data(settings, seed, ProgressBars()), warn)


def load_split_and_tell(
    settings: DataSettings,
    seed: int,
    name: str,
    class_names: Sequence[str],
    shape: tuple[int, int, int],
    warn: Callable[[str], None],
) -> Split:
    """Load one split for a trained network as `load_split` does, and warn as `load_and_tell` does."""
    return _told(lambda: load_split(settings, seed, name, class_names, shape, ProgressBars()), warn)


def _told(load: Callable[[], Result], warn: Callable[[str], None]) -> Result:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        result = load()
    for warning in caught:
        if "PIL" not in Path(warning.filename).parts:  # Pillow's remarks on metadata, which name no file
            warn(message(warning.message))
    return result
