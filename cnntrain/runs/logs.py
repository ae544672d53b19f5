"""What `train.log` adds to metrics.csv: log.jsonl, and files for TensorBoard; per step and per epoch.

A log is told everything, and has it on the disk before the checkpoint that it belongs to. A run that goes on drops what
it wrote after that checkpoint, so that no step is there twice.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cnntrain.config import Config
from cnntrain.config.problems import Problem
from cnntrain.errors import ConfigError, RunFolderError
from cnntrain.runs.disk import Addition, write_atomically
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.metrics_file import EpochRecord

AT_ONCE = 1000  # lines that are written together
EVERY = 10  # steps between two points in TensorBoard: writing one takes some 0.1 ms


class StepRecord(NamedTuple):
    """One step: its number and its epoch's, both from 1; mean loss and accuracy of its batch before the update."""

    step: int
    epoch: int
    loss: float
    accuracy: float
    learning_rate: float
    images: int


class Log(Protocol):
    """Something that is told every step and every epoch."""

    def step(self, record: StepRecord) -> None: ...
    def epoch(self, record: EpochRecord) -> None: ...
    def forget_epoch(self, epoch: int) -> None:
        """Drop the row of an epoch that was cut short and is trained to its end now."""

    def sync(self) -> None:
        """Return when everything is on the disk; raises `RunFolderError`."""

    def close(self) -> None: ...


class LinesLog:
    """log.jsonl: one JSON object per line, `"kind": "step"` or `"epoch"`.

    Parameters
    ----------
    path : Path
    step : int
        Steps that the run has made: what the file says of later ones is dropped.
    """

    def __init__(self, path: Path, step: int) -> None:
        self._path, self._lines = path, list[str]()
        self._keep(lambda entry: entry["step"] <= step)

    def step(self, record: StepRecord) -> None:
        """Add a line."""
        self._add({"kind": "step", **record._asdict()})
        if len(self._lines) >= AT_ONCE:
            self._write(sync=False)

    def epoch(self, record: EpochRecord) -> None:
        """Add a line."""
        rest = {"images_per_second": round(record.images_per_second, 1), "seconds": round(record.seconds, 3)}
        self._add({
            "kind": "epoch", "step": record.step, "epoch": record.epoch, **record.metrics.model_dump(),
            "learning_rate": record.learning_rate, **rest,
        })  # fmt: skip

    def forget_epoch(self, epoch: int) -> None:
        """Write the file anew without the epoch's line."""
        self._write(sync=False)
        self._keep(lambda entry: (entry["kind"], entry["epoch"]) != ("epoch", epoch))

    def sync(self) -> None:
        """Write what was added."""
        self._write(sync=True)

    def close(self) -> None:
        """Write what was added."""
        self._write(sync=False)

    def _add(self, entry: dict[str, Any]) -> None:
        numbers = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in entry.items()}
        self._lines.append(json.dumps(numbers) + "\n")

    def _write(self, *, sync: bool) -> None:
        if not self._lines:
            return
        content, self._lines = "".join(self._lines).encode(), []
        with Addition(self._path) as file:
            file.add(content)
            if sync:
                file.sync()

    def _keep(self, wanted: Any) -> None:
        try:
            text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise RunFolderError(f"{self._path}: cannot be read: {error}; move it away to go on without it") from error
        kept = "".join(line for line in text.splitlines(keepends=True) if _is_kept(line, wanted))
        if kept != text:
            write_atomically(self._path, kept.encode())


def _is_kept(line: str, wanted: Any) -> bool:
    try:
        return line.endswith("\n") and bool(wanted(json.loads(line)))
    except (ValueError, TypeError, KeyError):
        return False  # a line that was cut short


class TensorBoardLog:
    """Event files in `tensorboard/`, one per process that trained, written by tensorboardX.

    What an earlier process wrote after the checkpoint is purged by TensorBoard's own means, the mark of a session that
    begins at that step.
    """

    def __init__(self, folder: Path, step: int) -> None:
        writer, events, summaries = (  # an extra, which may not be there, and has no types
            import_module(f"tensorboardX.{name}")
            for name in ("event_file_writer", "proto.event_pb2", "proto.summary_pb2")
        )
        self._event, self._summary = events.Event, summaries.Summary
        again = folder.exists()
        try:
            self._writer = writer.EventFileWriter(str(folder), filename_suffix=f".{step:012d}.{time.monotonic_ns()}")
        except OSError as error:
            raise RunFolderError(f"{folder}: cannot be written: {error.strerror or error}") from error
        if again:
            mark = events.SessionLog(status=events.SessionLog.START)
            self._writer.add_event(self._event(wall_time=time.time(), step=step + 1, session_log=mark))

    def step(self, record: StepRecord) -> None:
        """Add a point, of every tenth step."""
        if record.step % EVERY == 0:
            self._add(record.step, {"step/loss": record.loss, "learning_rate": record.learning_rate})

    def epoch(self, record: EpochRecord) -> None:
        """Add the epoch's points."""
        values = {key.replace("_", "/", 1): value for key, value in record.metrics.model_dump().items()}
        self._add(record.step, values | {"images_per_second": record.images_per_second})

    def forget_epoch(self, epoch: int) -> None:
        """Do nothing: TensorBoard purges by steps alone, and those of a cut epoch stay."""

    def sync(self) -> None:
        """Write what was added."""
        self._writer.flush()

    def close(self) -> None:
        """Write what was added."""
        self._writer.close()

    def _add(self, step: int, values: dict[str, float | None]) -> None:
        found = [self._summary.Value(tag=tag, simple_value=v) for tag, v in values.items() if v is not None]
        self._writer.add_event(self._event(wall_time=time.time(), step=step, summary=self._summary(value=found)))


def check_logs(config: Config) -> None:
    """Raise `ConfigError`, with the place, where `train.log` names one whose package is not installed."""
    if "tensorboard" in config.train.log and find_spec("tensorboardX") is None:
        message = 'train.log: tensorboard needs the package tensorboardX: pip install "cnntrain[tensorboard]"'
        document = config._document
        place: list[str | int] = ["train", "log", config.train.log.index("tensorboard")]
        raise ConfigError(str(Problem(message, document.mark(place))) if document else message)


@contextmanager
def open_logs(config: Config, folder: RunFolder, step: int) -> Iterator[Sequence[Log]]:
    """Open the logs of a run that has made so many steps; raises `RunFolderError`."""
    logs: list[Log] = []
    try:
        if "jsonl" in config.train.log:
            logs.append(LinesLog(folder.lines, step))
        if "tensorboard" in config.train.log:
            logs.append(TensorBoardLog(folder.tensorboard, step))
        yield logs
    finally:
        for log in logs:
            log.close()
