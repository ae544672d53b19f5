"""What is kept of a training: rows, logs, lines and checkpoints, each onto the disk before the next begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cnntrain.runs.checkpoint import Checkpoint, save_checkpoint
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.logs import Log, StepRecord
from cnntrain.runs.metrics_file import EpochRecord, append_record, drop_records_after
from cnntrain.runs.progress import Inside, Metrics, Progress, Sums
from cnntrain.runs.reporter import Reporter, epoch_line
from cnntrain.training.best import Best
from cnntrain.training.divergence import left_not_finite
from cnntrain.training.keeping import Keeper
from cnntrain.training.setup import Training


class Records(Protocol):
    """What the loop tells about its way.

    Attributes
    ----------
    progress : Progress or None
        Of the last epoch that has a row; None if there is none, or this process keeps nothing.
    inside : Path or None
        The newest checkpoint, if it lies inside an epoch.
    """

    progress: Progress | None

    @property
    def inside(self) -> Path | None: ...

    def step(self, record: StepRecord) -> None:
        """Tell the logs of a step."""

    def due(self, step: int) -> bool:
        """Tell whether a checkpoint is to be kept inside an epoch, after this many steps."""

    def keep(self, step: int, sums: Sums) -> str | None:
        """Keep a checkpoint inside an epoch, of which these are the totals so far; return what is not finite, if so."""

    def stop(self, step: int, sums: Sums) -> str | None:
        """Keep the steps made since the last checkpoint, if there are any; return what is not finite, if so."""

    def epoch(self, record: EpochRecord, sums: Sums) -> None:
        """Keep a row, and the checkpoints of the epoch's end; schedule and early stopping have seen it."""

    def kept(self) -> str:
        """Say which checkpoint there is."""


class NoRecords:
    """The records of a process that leaves them to another."""

    progress: Progress | None = None
    inside: Path | None = None

    def step(self, record: StepRecord) -> None: ...

    def due(self, step: int) -> bool:
        return False

    def keep(self, step: int, sums: Sums) -> str | None: ...

    def stop(self, step: int, sums: Sums) -> str | None: ...

    def epoch(self, record: EpochRecord, sums: Sums) -> None: ...

    def kept(self) -> str:
        return "process 0 knows the checkpoint that there is"


class Recorder:
    """Writes to a run folder.

    Parameters
    ----------
    training : Training
    folder : RunFolder
    reporter : Reporter
    checkpoint : Checkpoint or None
        Where the training goes on; None begins.
    path : Path or None
        Its file.
    logs : sequence of Log
    """

    def __init__(
        self,
        training: Training,
        folder: RunFolder,
        reporter: Reporter,
        checkpoint: Checkpoint | None = None,
        path: Path | None = None,
        logs: Sequence[Log] = (),
    ) -> None:
        self._training, self._folder, self._reporter, self._logs = training, folder, reporter, logs
        self.progress = checkpoint.metadata.recorded if checkpoint else None
        self._is_inside = checkpoint is not None and checkpoint.metadata.inside is not None
        self._best = Best(folder.best, checkpoint)
        self._keeper = Keeper(folder, training.config.checkpoint, training.steps_per_epoch)
        if path is not None and checkpoint is not None:
            self._keeper.newest = checkpoint.metadata.progress.step, path

    @property
    def inside(self) -> Path | None:
        newest = self._keeper.newest
        return newest[1] if self._is_inside and newest else None

    def step(self, record: StepRecord) -> None:
        for log in self._logs:
            log.step(record)

    def due(self, step: int) -> bool:
        return self._keeper.due(step)

    def keep(self, step: int, sums: Sums) -> str | None:
        broken = left_not_finite(self._training.network, self._training.optimizer)
        if broken is None:
            self._keeper.keep(self._checkpoint_inside(step, sums))
        return broken

    def stop(self, step: int, sums: Sums) -> str | None:
        if step <= (self._keeper.newest[0] if self._keeper.newest else 0):
            return None
        broken = left_not_finite(self._training.network, self._training.optimizer)
        if broken is None:
            self._keeper.stop(self._checkpoint_inside(step, sums))
        return broken

    def _checkpoint_inside(self, step: int, sums: Sums) -> Checkpoint:
        training, best = self._training, self._best
        for log in self._logs:
            log.sync()
        metrics = Metrics(train_loss=sums.mean_loss, train_accuracy=sums.correct / sums.images)
        epoch = step // training.steps_per_epoch + 1
        made = best.epoch or epoch, best.metrics or metrics
        progress = self._progress_of(epoch, step, metrics, made, sums)
        self._is_inside = True
        return training.checkpoint(progress, best.before, Inside(recorded=self.progress))

    def _progress_of(
        self, epoch: int, step: int, metrics: Metrics, best: tuple[int, Metrics], unfinished: Sums
    ) -> Progress:
        return Progress(
            epoch=epoch,
            step=step,
            metrics=metrics,
            best_epoch=best[0],
            best_metrics=best[1],
            unfinished=unfinished,
            schedule=self._training.schedule.state(),
            early_stopping=self._training.stopping.state(),
        )

    def epoch(self, record: EpochRecord, sums: Sums) -> None:
        """Write the row and the log, then the checkpoints, each onto the disk before the next begins.

        Resuming drops a row that has no checkpoint, and makes `best` from `last` if it stopped between the two.
        """
        previous, best = self.progress, self._best
        is_best, is_whole = best.is_beaten_by(record.metrics), record.step % self._training.steps_per_epoch == 0
        now = record.epoch, record.metrics
        kept = now if is_best or best.epoch is None or best.metrics is None else (best.epoch, best.metrics)
        progress = self._progress_of(record.epoch, record.step, record.metrics, kept, Sums() if is_whole else sums)
        before = best.checkpoint(self._reporter.warning) if is_best and not is_whole else None
        last = self._training.checkpoint(progress, before)
        if previous is not None and previous.unfinished.images:  # this epoch's row, from when it was cut short
            drop_records_after(self._folder.metrics, (record.epoch - 1) * self._training.steps_per_epoch)
            for log in self._logs:
                log.forget_epoch(record.epoch)
        append_record(self._folder.metrics, record)
        for log in self._logs:
            log.epoch(record)
            log.sync()
        self._reporter.log(epoch_line(record, self._training.epochs, best=is_best))
        self._reporter.sync()
        if not is_best:
            best.restore()
        save_checkpoint(self._folder.last, last)
        if is_best:
            save_checkpoint(self._folder.best, last.as_best())
        self.progress, self._best, self._is_inside = progress, Best(self._folder.best, last), False
        self._keeper.at_a_row(last)
        self._reporter.epoch(record, self._training.epochs, best=is_best)
        self._reporter.saved(self._folder, self._training.data)

    def kept(self) -> str:
        newest, progress = self._keeper.newest, self.progress
        if newest is None:
            return "no epoch was finished before"
        at_a_row = progress is not None and newest[0] == progress.step
        of = f"epoch {progress.epoch}" if progress is not None and at_a_row else f"step {newest[0]:,}"
        return f"the checkpoint of {of} is in {newest[1]}"
