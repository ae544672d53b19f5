"""What a user sees while training: lines, warnings and a progress bar on stderr; the lines also in log.txt."""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from cnntrain.errors import RunFolderError
from cnntrain.printable import message
from cnntrain.runs.metrics_file import EpochRecord


class Reporter:
    """Prints to stderr and to the log.

    Parameters
    ----------
    quiet : bool
        Print warnings only; the log gets everything all the same.
    stream : file
        Where to print; the bar appears only if it is a terminal.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._quiet = quiet
        self._stream = sys.stderr if stream is None else stream
        self._log: TextIO | None = None
        self._path: Path | None = None

    def open_log(self, path: Path) -> None:
        """Append to this file from now on; raises `RunFolderError`."""
        self._path = path
        try:
            self._log = path.open("a", encoding="utf-8")
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be written: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            with contextlib.suppress(OSError):  # what could not be written was reported when it was
                self._log.close()
            self._log = None

    def line(self, text: str) -> None:
        """Report something."""
        if not self._quiet:
            tqdm.write(message(text), file=self._stream)
        self.log(text)

    def warning(self, text: str) -> None:
        """Report something that the user should act on: printed even when quiet."""
        tqdm.write(message(f"warning: {text}"), file=self._stream)
        self.log(f"warning: {text}")

    def bar(self, images: int, done: int) -> ProgressBar:
        """Return a bar over the images of all epochs, of which some are done."""
        visible = not self._quiet and self._stream.isatty()
        return ProgressBar(tqdm(
            total=images, initial=done, disable=not visible, file=self._stream, leave=False, unit=" images",
            unit_scale=True, bar_format="{desc}{percentage:3.0f}%|{bar}| {rate_noinv_fmt}, {remaining} left{postfix}",
            **_terminal_size(self._stream),
        ))  # fmt: skip

    def log(self, text: str) -> None:
        """Write to the log alone; raises `RunFolderError`."""
        if self._log is None:
            return
        text = message(text)  # a terminal may show the log one day
        time = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        try:
            self._log.write(f"{time}  {text}\n")
            self._log.flush()
        except OSError as error:
            raise RunFolderError(f"{self._path}: could not be written: {error.strerror or error}") from error


def _terminal_size(stream: TextIO) -> dict[str, Any]:
    """Follow the terminal's size; some terminals (in containers, under `script`) claim to have no size at all."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns = lines = 0
    return {"dynamic_ncols": True} if columns and lines else {"ncols": 80, "nrows": 24}


class ProgressBar:
    """A bar with the epoch in front, and images/s, remaining time and the epoch's mean loss behind."""

    def __init__(self, bar: tqdm) -> None:
        self._bar = bar

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Show which epoch runs."""
        self._bar.set_description_str(f"epoch {epoch}/{epochs} ", refresh=False)

    def advance(self, images: int, loss: float) -> None:
        """Count the images of one step and show the mean loss so far."""
        if not self._bar.disable:
            self._bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
            self._bar.update(images)


def epoch_line(record: EpochRecord, epochs: int, *, best: bool) -> str:
    """Return the line that is printed at an epoch's end."""
    metrics = record.metrics
    parts = [
        f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}",
        f"loss {metrics.train_loss:.4f}",
        f"accuracy {metrics.train_accuracy:.2%}",
    ]
    if metrics.validation_loss is not None and metrics.validation_accuracy is not None:
        parts += [f"validation loss {metrics.validation_loss:.4f}", f"accuracy {metrics.validation_accuracy:.2%}"]
    parts += [
        f"learning rate {record.learning_rate:.4g}",
        f"{record.images_per_second:,.0f} images/s",
        f"{record.seconds:.1f} s",
    ]
    return "  ".join(parts) + ("  best" if best else "")
