"""The best epoch so far, and what it was before an epoch that `train.steps` cut short became it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cnntrain.errors import CheckpointError
from cnntrain.runs.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from cnntrain.runs.progress import Metrics


class Best:
    """What the next epoch must beat.

    An epoch that was cut short is trained to its end when the run goes on. What it reached by then is forgotten: only
    whole epochs, and the one in which the run ends, are compared.

    Parameters
    ----------
    path : Path
        `best.safetensors`.
    last : Checkpoint or None
        The run so far; None before its first epoch.

    Attributes
    ----------
    epoch : int or None
    metrics : Metrics or None
    before : Checkpoint or None
        The best one before an epoch that was cut short and is better.
    """

    def __init__(self, path: Path, last: Checkpoint | None) -> None:
        self._path, self.before = path, None if last is None else last.before
        self.epoch: int | None = None
        self.metrics: Metrics | None = None
        progress = None if last is None else last.metadata.recorded
        if progress is None:
            return
        if not progress.unfinished.images or progress.best_epoch != progress.epoch:
            self.epoch, self.metrics = progress.best_epoch, progress.best_metrics
        elif self.before is not None:
            before = self.before.metadata.progress
            self.epoch, self.metrics = before.epoch, before.metrics

    def is_beaten_by(self, metrics: Metrics) -> bool:
        """Tell whether an epoch is better."""
        return self.metrics is None or metrics.better_than(self.metrics)

    def checkpoint(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """Return the best epoch's checkpoint, for one that will take its place for a while; None if there is none."""
        if self.before is not None or self.epoch is None:
            return self.before
        try:
            found = read_checkpoint(self._path)
        except CheckpointError as error:
            warn(f"{error}\nIf this run goes on, its best epochs so far are forgotten")
            return None
        return found if found.metadata.progress.epoch == self.epoch else None

    def restore(self) -> None:
        """Write the best checkpoint again, if an epoch that was cut short had taken its place."""
        if self.before is not None:
            save_checkpoint(self._path, self.before)
