"""The training loop: epochs of forward, loss, backward, update; validation, records and checkpoints after each."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnntrain.data import batches
from cnntrain.errors import TrainingError
from cnntrain.evaluation.evaluate import evaluate
from cnntrain.evaluation.views import views_of
from cnntrain.kernels.compiler.pace import Pace
from cnntrain.randomness import generator
from cnntrain.runs.checkpoint import Checkpoint, save_checkpoint
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.logs import Log, StepRecord
from cnntrain.runs.metrics_file import EpochRecord, append_record, drop_records_after
from cnntrain.runs.progress import Inside, Metrics, Progress, Sums
from cnntrain.runs.reporter import ProgressBar, Reporter, epoch_line
from cnntrain.training.best import Best
from cnntrain.training.divergence import diverged, left_not_finite, where_not_finite
from cnntrain.training.interruption import StopSignals
from cnntrain.training.keeping import Keeper
from cnntrain.training.setup import Training


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes
    ----------
    progress : Progress or None
        After the last finished epoch; None if none was.
    stopped_by : int or None
        Number of the signal that ended it early.
    step : int
        Updates made.
    inside : Path or None
        The checkpoint of that step, if it lies inside an epoch.
    no_better : str or None
        Why early stopping ended it.
    """

    progress: Progress | None
    stopped_by: int | None = None
    step: int = 0
    inside: Path | None = None
    no_better: str | None = None


class Loop:
    """Trains from a position to the end.

    What a step does follows from the config, its seed, the step's number and what a checkpoint holds (never from what
    else this process did before), so a training that is continued ends with the same bits as one never stopped.

    Parameters
    ----------
    training : Training
        What trains. Network and optimiser are in the state that belongs to `progress`.
    folder : RunFolder
        Gets metrics and checkpoints.
    reporter : Reporter
    checkpoint : Checkpoint or None
        Where to go on; None begins.
    path : Path or None
        Its file.
    logs : sequence of Log
        Told every step and every epoch.
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
        self._training = training
        self._folder = folder
        self._reporter, self._logs = reporter, logs
        self._progress = checkpoint.metadata.recorded if checkpoint else None  # of the last epoch that has a row
        position = checkpoint.metadata.progress if checkpoint else None
        self._step, self._sums = (position.step, position.unfinished) if position else (0, Sums())
        self._unrecorded = checkpoint is not None and checkpoint.metadata.inside is not None
        self._best = Best(folder.best, checkpoint)
        self._keeper = Keeper(folder, training.config.checkpoint, training.steps_per_epoch)
        self._pace = Pace(reporter.line, keeps=True)
        if path is not None:
            self._keeper.newest = self._step, path

    def run(self) -> Outcome:
        """Train to the end, or until Ctrl-C, SIGTERM or SIGHUP.

        Raises
        ------
        TrainingError
            The loss, or something that a checkpoint would hold, became NaN or infinite; earlier checkpoints stay.
        RunFolderError
            Something could not be written; earlier checkpoints stay.
        """
        training = self._training
        total, done = self._images_until(training.total_steps), self._images_until(self._step)
        with StopSignals() as stop, self._reporter.bar(total, done) as bar:
            while self._goes_on and not stop.received:
                self._epoch(stop, bar)
        newest = self._keeper.newest
        inside = newest[1] if self._unrecorded and newest else None
        return Outcome(self._progress, stop.received, self._step, inside, training.stopping.reason)

    @property
    def _goes_on(self) -> bool:
        training = self._training
        return self._unrecorded or (self._step < training.total_steps and training.stopping.reason is None)

    def _epoch(self, stop: StopSignals, bar: ProgressBar) -> None:
        began = time.perf_counter()
        epoch = self._step // self._training.steps_per_epoch
        bar.start_epoch(epoch + 1, self._training.epochs)
        before = self._sums
        with self._pace:
            sums = self._train(epoch, before, stop, bar)
        if sums is None:
            return
        seconds = time.perf_counter() - began
        broken = left_not_finite(self._training.network, self._training.optimizer)
        if broken is not None:
            raise self._diverged(self._step - 1, "the epoch's last update left NaN or infinity", broken)
        metrics = self._validated(sums)
        rate = (sums.images - before.images) / seconds
        record = EpochRecord(
            epoch=epoch + 1,
            step=self._step,
            metrics=metrics,
            learning_rate=self._training.learning_rate_at(self._step - 1),
            images_per_second=rate,
            seconds=time.perf_counter() - began,
        )
        self._save(record, sums)

    def _train(self, epoch: int, sums: Sums, stop: StopSignals, bar: ProgressBar) -> Sums | None:
        """Make the epoch's steps from the current one on; None if a signal came, and they are saved."""
        training = self._training
        network, normalization = training.network, training.data.normalization
        total, weight, correct, images = sums.loss, sums.weight, sums.correct, sums.images
        for batch in training.feed.batches(self._remaining_batches(epoch), epoch):
            if stop.received:
                self._stop(Sums(loss=total, weight=weight, correct=correct, images=images))
                return None
            network.load(batch.images, batch.rows, normalization)
            network.forward(training=True, step=self._step)
            loss = network.loss(batch.labels, batch.mixture)
            if not math.isfinite(loss):
                where = where_not_finite(network, updated=self._step > 0)
                raise self._diverged(self._step, f"the training loss became {loss}", where)
            network.backward()
            training.optimizer.step(training.learning_rate_at(self._step))
            self._step += 1
            batch_total, batch_weight = network.loss_sums
            total += batch_total
            weight += batch_weight
            correct += network.correct
            images += len(batch)
            if self._logs:
                self._tell(epoch, loss, len(batch))
            bar.advance(len(batch), total / (weight or 1.0))
            self._pace.lap(len(batch))
            if self._keeper.due(self._step) and not self._at_a_row:
                self._keeper.keep(self._inside(Sums(loss=total, weight=weight, correct=correct, images=images)))
        return Sums(loss=total, weight=weight, correct=correct, images=images)

    def _tell(self, epoch: int, loss: float, images: int) -> None:
        """Tell the logs of the step just made."""
        rate = self._training.learning_rate_at(self._step - 1)
        record = StepRecord(self._step, epoch + 1, loss, self._training.network.correct / images, rate, images)
        for log in self._logs:
            log.step(record)

    @property
    def _at_a_row(self) -> bool:
        """An epoch, or the whole training, ends after the step just made."""
        return self._step % self._training.steps_per_epoch == 0 or self._step == self._training.total_steps

    def _stop(self, sums: Sums) -> None:
        """Save the steps made since the last checkpoint, if there are any."""
        if self._step > (self._keeper.newest[0] if self._keeper.newest else 0):
            self._keeper.stop(self._inside(sums))

    def _inside(self, sums: Sums) -> Checkpoint:
        """Gather a checkpoint inside an epoch, of which these are the totals so far."""
        training, best = self._training, self._best
        broken = left_not_finite(training.network, training.optimizer)
        if broken is not None:
            raise self._diverged(self._step - 1, "the last update left NaN or infinity", broken)
        for log in self._logs:
            log.sync()
        metrics = Metrics(train_loss=sums.mean_loss, train_accuracy=sums.correct / sums.images)
        epoch = self._step // training.steps_per_epoch + 1
        made = best.epoch or epoch, best.metrics or metrics
        progress = self._progress_of(epoch, metrics, made, sums)
        self._unrecorded = True
        return training.checkpoint(progress, best.before, Inside(recorded=self._progress))

    def _progress_of(self, epoch: int, metrics: Metrics, best: tuple[int, Metrics], unfinished: Sums) -> Progress:
        return Progress(
            epoch=epoch,
            step=self._step,
            metrics=metrics,
            best_epoch=best[0],
            best_metrics=best[1],
            unfinished=unfinished,
            schedule=self._training.schedule.state(),
            early_stopping=self._training.stopping.state(),
        )

    def _remaining_batches(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Return the index arrays of an epoch from the current step on; the order follows from seed and epoch."""
        training = self._training
        first = epoch * training.steps_per_epoch
        order = batches(
            len(training.data.train), training.batch_size, generator(training.config.seed, "shuffling", epoch)
        )
        return islice(order, self._step - first, min(training.total_steps - first, training.steps_per_epoch))

    def _validated(self, sums: Sums) -> Metrics:
        training = self._training
        train_loss, train_accuracy = sums.mean_loss, sums.correct / sums.images
        if training.data.validation is None:
            return Metrics(train_loss=train_loss, train_accuracy=train_accuracy)
        with training.optimizer.averaged():
            try:
                validation = evaluate(
                    training.network, training.data.validation, training.data.normalization, training.batch_size,
                    views=views_of(training.config),
                )  # fmt: skip
            except TrainingError as error:
                where = where_not_finite(training.network)
                raise self._diverged(self._step - 1, f"validation failed: {error}", where) from error
        return Metrics(
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            validation_loss=validation.loss,
            validation_accuracy=validation.accuracy,
        )

    def _save(self, record: EpochRecord, sums: Sums) -> None:
        """Write the row and the log, then the checkpoints, each onto the disk before the next begins.

        Resuming drops a row that has no checkpoint, and makes `best` from `last` if it stopped between the two.
        """
        previous, best = self._progress, self._best
        is_best, is_whole = best.is_beaten_by(record.metrics), record.step % self._training.steps_per_epoch == 0
        if is_whole:  # a run may be continued inside an epoch: its schedule must see the epoch's end only
            self._training.schedule.observe(record.metrics)
            self._training.stopping.observe(record.epoch, record.metrics)
        now = record.epoch, record.metrics
        kept = now if is_best or best.epoch is None or best.metrics is None else (best.epoch, best.metrics)
        progress = self._progress_of(record.epoch, record.metrics, kept, Sums() if is_whole else sums)
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
        line = epoch_line(record, self._training.epochs, best=is_best)
        self._reporter.log(line)
        self._reporter.sync()
        if not is_best:
            best.restore()
        save_checkpoint(self._folder.last, last)
        if is_best:
            save_checkpoint(self._folder.best, last.as_best())
        self._progress, self._best = progress, Best(self._folder.best, last)
        self._sums, self._unrecorded = progress.unfinished, False
        self._keeper.at_a_row(last)
        self._reporter.epoch(record, self._training.epochs, best=is_best)
        self._reporter.saved(self._folder, self._training.data)

    def _diverged(self, step: int, what: str, where: str) -> TrainingError:
        """Return the error of a training that broke in a 0-based step."""
        kept, newest, progress = "no epoch was finished before", self._keeper.newest, self._progress
        if newest is not None:
            at_a_row = progress is not None and newest[0] == progress.step
            of = f"epoch {progress.epoch}" if progress is not None and at_a_row else f"step {newest[0]:,}"
            kept = f"the checkpoint of {of} is in {newest[1]}"
        return diverged(self._training, step, what, where, kept)

    def _images_until(self, step: int) -> int:
        epochs, steps = divmod(step, self._training.steps_per_epoch)
        return epochs * self._training.images_per_epoch + steps * self._training.batch_size
