"""What a user sees while training: lines, warnings and a progress bar on stderr; the lines also in log.txt."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

from cnntrain.printable import message
from cnntrain.runs.disk import Addition
from cnntrain.runs.metrics_file import EpochRecord
from cnntrain.streams import Lasting, reason
from cnntrain.tables import GAP, wrapped
from cnntrain.terminal import bar_for, painted, width_of

if TYPE_CHECKING:
    from cnntrain.data import DataSet
    from cnntrain.runs.folder import RunFolder


BEST = "best"  # the last word of the best epoch's line


class Reporter:
    """Prints to stderr and to the log.

    A stream that breaks (a reader that left, a terminal that vanished, a full disk) is done without; the log says so.

    Parameters
    ----------
    quiet : bool
        Print warnings only; the log gets everything all the same.
    stream : file
        Where to print; the bar appears only if it is a terminal, or in a notebook.

    Attributes
    ----------
    after_epoch : callable or None
        Called with the run folder and the data when an epoch's checkpoints are on the disk.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._quiet = quiet
        self.after_epoch: Callable[[RunFolder, DataSet], None] | None = None
        self._stream = Lasting.of(sys.stderr if stream is None else stream)
        self._told_of_loss = False
        self._log: Addition | None = None
        self._early: list[str] = []  # said before the log is open

    def open_log(self, path: Path) -> None:
        """Append to this file from now on, first what was said before; raises `RunFolderError`."""
        self._log = Addition(path)
        self._log.add("".join(self._early).encode(errors="backslashreplace"))
        self._early.clear()

    def sync(self) -> None:
        """Return when the log is on the disk; raises `RunFolderError`."""
        if self._log is not None:
            self._log.sync()

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def line(self, text: str) -> None:
        """Report something."""
        self.show(text)
        self.log(message(text))

    def warning(self, text: str) -> None:
        """Report something that the user should act on: printed even when quiet."""
        self._print(f"warning: {text}", lambda line: self._begun(line, "warning:", "yellow"))
        self.log(f"warning: {message(text)}")

    def show(self, text: str) -> None:
        """Print without the log."""
        if not self._quiet:
            self._print(text)

    def epoch(self, record: EpochRecord, epochs: int, *, best: bool) -> None:
        """Print an epoch's line, as long as the terminal has room for; the log has had it."""
        if not self._quiet:
            text = fitted_epoch_line(record, epochs, best=best, width=width_of(self._stream))
            self._print(text, (lambda line: self._ended(line, BEST, "green")) if best else str)

    def saved(self, folder: RunFolder, data: DataSet) -> None:
        """Tell whoever wanted to know that an epoch is on the disk."""
        if self.after_epoch is not None:
            self.after_epoch(folder, data)

    def log(self, text: str) -> None:
        """Write to the log alone; raises `RunFolderError`."""
        time = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        entry = f"{time}  {text}\n"
        if self._log is None:
            self._early.append(entry)
        else:
            self._log.add(entry.encode(errors="backslashreplace"))

    def bar(self, images: int, done: int) -> ProgressBar:
        """Return a bar over the images of all epochs, of which some are done."""
        kind, visible = bar_for(self._stream)
        visible = visible and not self._quiet
        return ProgressBar(kind(
            total=images, initial=done, disable=not visible, file=self._stream, leave=False, unit=" images",
            unit_scale=True, bar_format="{desc}{percentage:3.0f}%|{bar}| {rate_noinv_fmt}, {remaining} left{postfix}",
            **_terminal_size(self._stream),
        ))  # fmt: skip

    def _begun(self, line: str, beginning: str, colour: str) -> str:
        return painted(beginning, colour, self._stream) + line.removeprefix(beginning)

    def _ended(self, line: str, end: str, colour: str) -> str:
        return line.removesuffix(end) + painted(end, colour, self._stream)

    def _print(self, text: str, paint: Callable[[str], str] = str) -> None:
        tqdm.write(paint(message(text)), file=self._stream)
        if self._stream.lost is not None and not self._told_of_loss:
            self._told_of_loss = True
            self.log(f"what is printed can no longer be seen ({reason(self._stream.lost)}); this log goes on")


def _terminal_size(stream: Lasting) -> dict[str, Any]:
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
    return GAP.join([*parts, BEST] if best else parts)


def fitted_epoch_line(record: EpochRecord, epochs: int, *, best: bool, width: int | None) -> str:
    """Return `epoch_line` if a terminal has room for it; otherwise a shorter one, which may take several lines.

    The form does not depend on `best`, so that the lines of a training stand below each other.
    """
    mark = [BEST] if best else []
    if (
        width is None or len(epoch_line(record, epochs, best=True)) < width
    ):  # the last column stays free: some terminals
        return epoch_line(record, epochs, best=best)  # go on to the next line there
    metrics = record.metrics
    parts = [
        f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}",
        f"loss {metrics.train_loss:.4f} {metrics.train_accuracy:.2%}",
    ]
    if metrics.validation_loss is not None and metrics.validation_accuracy is not None:
        parts.append(f"validation {metrics.validation_loss:.4f} {metrics.validation_accuracy:.2%}")
    rate, seconds = f"{record.images_per_second:,.0f}/s", f"{record.seconds:.1f} s"
    for form in ([*parts, rate, seconds], [*parts, seconds]):
        if len(GAP.join([*form, BEST])) < width:
            return GAP.join(form + mark)
    return "\n".join(wrapped([*parts, rate, seconds, *mark], width - 1, indent=len(parts[0]) + len(GAP)))
