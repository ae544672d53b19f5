"""metrics.csv: one row per epoch, on the disk before the checkpoint that it belongs to."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from cnntrain.errors import RunFolderError
from cnntrain.runs.disk import Addition, write_atomically
from cnntrain.runs.progress import Metrics

COLUMNS = (
    "epoch",
    "step",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "learning_rate",
    "images_per_second",
    "seconds",
)
_ROW = re.compile(r"([0-9]{1,18}),([0-9]{1,18}),")


@dataclass(frozen=True)
class EpochRecord:
    """One row.

    Attributes
    ----------
    epoch, step : int
        Number of the epoch, from 1, and updates made so far.
    metrics : Metrics
        Losses and accuracies (shares of 1); empty cells without a validation split.
    learning_rate : float
        Of the epoch's last update.
    images_per_second : float
        Of training alone: neither compilation nor validation counts.
    seconds : float
        The whole epoch with its validation.
    """

    epoch: int
    step: int
    metrics: Metrics
    learning_rate: float
    images_per_second: float
    seconds: float

    def cells(self) -> list[object]:
        """Return the row's values in the order of `COLUMNS`; numbers in their shortest exact form."""
        metrics = self.metrics
        validation = (metrics.validation_loss, metrics.validation_accuracy)
        return [
            self.epoch,
            self.step,
            metrics.train_loss,
            metrics.train_accuracy,
            *("" if value is None else value for value in validation),
            self.learning_rate,
            round(self.images_per_second, 1),
            round(self.seconds, 3),
        ]


def append_record(path: Path, record: EpochRecord) -> None:
    """Add a row, with the head line in front of the first, and see it onto the disk; raises `RunFolderError`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    with Addition(path) as file:
        if file.size == 0:
            writer.writerow(COLUMNS)
        writer.writerow(record.cells())
        file.add(text.getvalue().encode())
        file.sync()


def drop_records_after(path: Path, step: int) -> None:
    """Remove what a run wrote after its last checkpoint: rows of later steps and a line that was cut short."""
    text = _read(path)
    whole = text[: text.rfind("\n") + 1]
    kept = [line for line in whole.splitlines(keepends=True) if (_position(line) or (0, 0))[1] <= step]
    if "".join(kept) != text:
        write_atomically(path, "".join(kept).encode())


def epochs_recorded(path: Path) -> list[int]:
    """Return the epochs that have a row, in the file's order; raises `RunFolderError`."""
    return [position[0] for position in map(_position, _read(path).splitlines()) if position is not None]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{path}: cannot be read: {error}; move it away to go on without its rows") from error


def _position(line: str) -> tuple[int, int] | None:
    """Return a row's epoch and step; None if the line is none, as the head line is."""
    match = _ROW.match(line)
    return (int(match[1]), int(match[2])) if match else None
