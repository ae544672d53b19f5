"""What a run folder says without its network or its data: epochs, config, environment. Runs that go on are read too."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cnntrain.config import infer_shapes, parse_config
from cnntrain.config.document import Document
from cnntrain.config.yaml_nodes import read_text
from cnntrain.errors import CheckpointError, CnntrainError, ConfigError, RunFolderError
from cnntrain.layers.base import LayerRow
from cnntrain.runs.checkpoint import Metadata, read_checkpoint
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.metrics_file import COLUMNS
from cnntrain.shape import Shape

LARGEST = 64_000_000  # bytes of metrics.csv or environment.json: a row is 100, so hundreds of thousands of epochs
_COUNTS = ("epoch", "step")


@dataclass(frozen=True)
class Row:
    """One epoch's row of metrics.csv.

    Attributes
    ----------
    cells : mapping
        By column, as they stand in the file.
    """

    cells: dict[str, str]

    def __getitem__(self, column: str) -> float | None:
        """Return the number of a column; None where there is none, or no finite one."""
        text = self.cells[column]
        value = float(text) if text else math.nan
        return value if math.isfinite(value) else None

    @property
    def epoch(self) -> int:
        """From 1."""
        return int(self.cells["epoch"])

    @property
    def merit(self) -> tuple[float, ...]:
        """What makes one epoch better than another, as for `Metrics.better_than`."""
        accuracy, loss = self["validation_accuracy"], self["validation_loss"]
        if accuracy is None or loss is None:
            train = self["train_loss"]
            return (-math.inf if train is None else -train,)
        return (accuracy, -loss)


@dataclass(frozen=True)
class RunRecord:
    """A run as its folder tells it.

    Attributes
    ----------
    folder : RunFolder
    label : str
        What to call it: the folder's name, or its path where names are equal. As the file system has it: not printable.
    rows : list of Row
        Epochs, in the file's order.
    config_text : str
        config.yaml: the resolved config.
    environment : dict or None
        Of the last process that trained; None if nothing can be read.
    metadata : Metadata or None
        Of the checkpoint; None where no epoch was finished, or it cannot be read.
    damage : str or None
        Why the checkpoint cannot be read.
    """

    folder: RunFolder
    label: str
    rows: list[Row]
    config_text: str
    environment: dict[str, Any] | None
    metadata: Metadata | None
    damage: str | None

    @cached_property
    def config_values(self) -> dict[str, object]:
        """The config as plain data."""
        return Document.parse(self.config_text, str(self.folder.config)).values([])

    @cached_property
    def layers(self) -> list[LayerRow]:
        """The planned layers; none before there is a checkpoint, or if the config needs extensions not allowed."""
        if self.metadata is None:
            return []
        try:
            config = parse_config(self.config_text, str(self.folder.config))
            return infer_shapes(config, Shape(*self.metadata.input_shape), len(self.metadata.class_names))
        except CnntrainError:
            return []

    @property
    def parameters(self) -> int | None:
        """How many learned numbers the network has."""
        return sum(row.parameters for row in self.layers) if self.layers else None

    @property
    def best(self) -> Row | None:
        """The best epoch, the earlier one of equals; None before the first."""
        return max(self.rows, key=lambda row: row.merit) if self.rows else None

    @property
    def seconds(self) -> float:
        """Of all epochs, with validation."""
        return math.fsum(row["seconds"] or 0.0 for row in self.rows)

    @property
    def planned(self) -> tuple[str, int] | None:
        """("epochs" or "steps", how many), by the config."""
        train = self.config_values.get("train")
        for unit in ("steps", "epochs"):
            count = train.get(unit) if isinstance(train, dict) else None
            if isinstance(count, int):
                return unit, count
        return None

    @property
    def is_finished(self) -> bool:
        """All that the config plans was done. If not, it goes on, or was stopped."""
        if self.planned is None or not self.rows:
            return False
        unit, count = self.planned
        return int(self.rows[-1].cells["epoch" if unit == "epochs" else "step"]) >= count


def read_run(path: Path, label: str) -> RunRecord:
    """Read a run folder.

    Parameters
    ----------
    path : Path
    label : str
        What to call it.

    Raises
    ------
    RunFolderError, ConfigError
        There is no such folder, or metrics.csv or config.yaml is missing or damaged.
    """
    folder = RunFolder(path)
    if not path.is_dir():
        raise RunFolderError(f"{path}: there is no such run folder")
    if not folder.config.is_file():
        raise RunFolderError(f"{path}: has no {folder.config.name}: this is no run folder")
    text = read_text(folder.config)
    rows = read_rows(folder.metrics) if folder.metrics.exists() else []
    metadata, damage = _metadata(folder)
    record = RunRecord(folder, label, rows, text, _environment(folder.environment), metadata, damage)
    try:
        record.config_values  # noqa: B018, an error shall show here
    except ConfigError as error:
        raise ConfigError(f"{folder.config}: is damaged: {error}") from error
    return record


def read_rows(path: Path) -> list[Row]:
    """Read metrics.csv; a last line that was not written to its end does not count. Raises `RunFolderError`."""
    text = _read(path)
    lines = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1]), strict=False))
    if not lines:
        return []
    head = lines[0]
    if missing := [name for name in COLUMNS if name not in head]:
        raise RunFolderError(f"{path}: is damaged or no metrics.csv of a run: it has no column {missing[0]}")
    rows = []
    for number, cells in enumerate(lines[1:], 2):
        if len(cells) != len(head) or not all(
            _is_number(text, name) for name, text in zip(head, cells, strict=True) if name in COLUMNS
        ):
            raise RunFolderError(
                f"{path}:{number}: is damaged: expected {len(head)} numbers, got {','.join(cells)[:80]!r}"
            )
        rows.append(Row(dict(zip(head, cells, strict=True))))
    return rows


def labels_of(paths: Sequence[Path]) -> list[str]:
    """Return what to call runs: their folders' names where these differ, their paths otherwise."""
    names = [path.resolve().name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _is_number(text: str, column: str) -> bool:
    if column in _COUNTS:
        return text.isascii() and text.isdecimal() and 0 < len(text) <= 18
    try:
        return not text or float(text) is not None
    except ValueError:
        return False


def _metadata(folder: RunFolder) -> tuple[Metadata | None, str | None]:
    damage = None
    for path in (folder.best, folder.last):
        if path.is_file():
            try:
                return read_checkpoint(path).metadata, damage
            except CheckpointError as error:
                damage = damage or str(error)
    return None, damage


def _environment(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(_read(path))
        last = content["processes"][-1]
    except (RunFolderError, ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    return last if isinstance(last, dict) else None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise RunFolderError(f"{path}: larger than {LARGEST:,} bytes: no file of a run")
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{path}: cannot be read: {error}") from error
