"""metrics.csv: one row per epoch, on the disk as soon as the epoch ends."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from cnntrain.errors import RunFolderError
from cnntrain.runs.atomic import write_atomically
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
    """Add a row, with the head line in front of the first; raises `RunFolderError`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            if file.tell() == 0:
                writer.writerow(COLUMNS)
            writer.writerow(record.cells())
            file.write(text.getvalue())
    except OSError as error:
        raise RunFolderError(f"{path}: could not be written: {error.strerror or error}") from error


def drop_records_after(path: Path, step: int) -> None:
    """Remove what a run wrote after its last checkpoint: rows of later steps and a line that was cut short."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{path}: cannot be read: {error}") from error
    whole = text[: text.rfind("\n") + 1]
    kept = [line for line in whole.splitlines(keepends=True) if not _is_later(line, step)]
    if "".join(kept) != text:
        write_atomically(path, "".join(kept).encode())


def _is_later(line: str, step: int) -> bool:
    cells = line.split(",")
    return len(cells) > 1 and cells[1].isdecimal() and int(cells[1]) > step
