"""The training loop: epochs of forward, loss, backward, update; validation and records after each."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
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
from cnntrain.processes.team import ALONE, Team
from cnntrain.randomness import generator
from cnntrain.runs.checkpoint import Checkpoint
from cnntrain.runs.logs import StepRecord
from cnntrain.runs.metrics_file import EpochRecord
from cnntrain.runs.progress import Metrics, Progress, Sums
from cnntrain.runs.reporter import ProgressBar, Reporter
from cnntrain.training.divergence import NOWHERE, diverged, left_not_finite, where_not_finite
from cnntrain.training.interruption import StopSignals
from cnntrain.training.recording import Records
from cnntrain.training.setup import Training
from cnntrain.training.step import StepSums, step_of


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
        What trains. Network and optimiser are in the state that belongs to `checkpoint`.
    records : Records
        Keeps what there is to keep.
    reporter : Reporter
    checkpoint : Checkpoint or None
        Where to go on; None begins.
    team : Team
        The processes that train together, each with a loop of its own.
    """

    def __init__(
        self,
        training: Training,
        records: Records,
        reporter: Reporter,
        checkpoint: Checkpoint | None = None,
        team: Team = ALONE,
    ) -> None:
        self._training, self._records, self._reporter, self._team = training, records, reporter, team
        position = checkpoint.metadata.progress if checkpoint else None
        self._step, self._sums = (position.step, position.unfinished) if position else (0, Sums())
        self._unrecorded = checkpoint is not None and checkpoint.metadata.inside is not None
        self._pace = Pace(reporter.line, keeps=True) if team.size == 1 else None
        self._stop = StopSignals()
        self._agreed: int | None = None  # a signal that all processes know of
        self._gradients = step_of(training, team)

    def run(self) -> Outcome:
        """Train to the end, or until Ctrl-C, SIGTERM or SIGHUP.

        Raises
        ------
        TrainingError
            The loss, or something that a checkpoint would hold, became NaN or infinite; earlier checkpoints stay.
        RunFolderError
            Something could not be written; earlier checkpoints stay.
        """
        training, records = self._training, self._records
        total, done = self._images_until(training.total_steps), self._images_until(self._step)
        with self._stop, self._reporter.bar(total, done) as bar:
            while self._goes_on and not self._signal:
                self._epoch(bar)
        return Outcome(records.progress, self._signal, self._step, records.inside, training.stopping.reason)

    @property
    def _signal(self) -> int | None:
        """The signal that ends the training; in a team one that all know of, so that all end after the same step."""
        return self._stop.received if self._team.size == 1 else self._agreed

    @property
    def _goes_on(self) -> bool:
        training = self._training
        return self._unrecorded or (self._step < training.total_steps and training.stopping.reason is None)

    def _epoch(self, bar: ProgressBar) -> None:
        began = time.perf_counter()
        epoch = self._step // self._training.steps_per_epoch
        bar.start_epoch(epoch + 1, self._training.epochs)
        before = self._sums
        with self._pace or nullcontext():
            sums = self._train(epoch, before, bar)
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
        is_whole = record.step % self._training.steps_per_epoch == 0
        if is_whole:  # a run may be continued inside an epoch: its schedule must see the epoch's end only
            self._training.schedule.observe(record.metrics)
            self._training.stopping.observe(record.epoch, record.metrics)
        self._records.epoch(record, sums)
        self._sums, self._unrecorded = Sums() if is_whole else sums, False

    def _train(self, epoch: int, sums: Sums, bar: ProgressBar) -> Sums | None:
        """Make the epoch's steps from the current one on; None if a signal came, and they are saved."""
        total, weight, correct, images = sums.loss, sums.weight, sums.correct, sums.images
        remaining = list(self._remaining(epoch))
        pieces = (piece for indices in remaining for piece in self._gradients.pieces(indices))
        with closing(self._training.feed.batches(pieces, epoch)) as brought:
            for indices in remaining:
                if self._signal:
                    self._check(self._records.stop(self._step, sums_of(total, weight, correct, images)))
                    return None
                made = self._gradients.run(brought, indices.size, self._step, self._stop)
                self._update(epoch, made)
                total, weight = total + made.total, weight + made.weight
                correct, images = correct + made.correct, images + made.images
                bar.advance(made.images, total / (weight or 1.0))
                if self._pace is not None:
                    self._pace.lap(made.images)
                if self._records.due(self._step) and not self._at_a_row:
                    self._check(self._records.keep(self._step, sums_of(total, weight, correct, images)))
        return sums_of(total, weight, correct, images)

    def _update(self, epoch: int, made: StepSums) -> None:
        """Update the parameters with the gradients of a batch."""
        training, self._agreed = self._training, made.signal
        if not math.isfinite(made.loss):
            where = self._where(self._gradients.where(updated=self._step > 0))
            raise self._diverged(self._step, f"the training loss became {made.loss}", where)
        rate = training.learning_rate_at(self._step)
        training.optimizer.step(rate)
        self._step += 1
        self._records.step(StepRecord(self._step, epoch + 1, made.loss, made.correct / made.images, rate, made.images))

    @property
    def _at_a_row(self) -> bool:
        """An epoch, or the whole training, ends after the step just made."""
        return self._step % self._training.steps_per_epoch == 0 or self._step == self._training.total_steps

    def _check(self, broken: str | None) -> None:
        """Raise the error of a checkpoint inside an epoch that would have held NaN or infinity."""
        if broken is not None:
            raise self._diverged(self._step - 1, "the last update left NaN or infinity", broken)

    def _remaining(self, epoch: int) -> Iterator[NDArray[np.int64]]:
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
                    training.network,
                    training.data.validation,
                    training.data.normalization,
                    training.network.batch_size,
                    views=views_of(training.config),
                    team=self._team,
                )
            except TrainingError as error:
                where = self._where(where_not_finite(training.network))
                raise self._diverged(self._step - 1, f"validation failed: {error}", where) from error
        return Metrics(
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            validation_loss=validation.loss,
            validation_accuracy=validation.accuracy,
        )

    def _where(self, mine: str) -> str:
        """Return where it began, of what the processes found; collective."""
        found = self._team.gather(mine)
        return next((where for where in found if where != NOWHERE), NOWHERE)

    def _diverged(self, step: int, what: str, where: str) -> TrainingError:
        """Return the error of a training that broke in a 0-based step."""
        return diverged(self._training, step, what, where, self._records.kept())

    def _images_until(self, step: int) -> int:
        epochs, steps = divmod(step, self._training.steps_per_epoch)
        return epochs * self._training.images_per_epoch + steps * self._training.batch_size


def sums_of(loss: float, weight: float, correct: int, images: int) -> Sums:
    """Return an epoch's running totals as checkpoints hold them; not for every step: making it is slow."""
    return Sums(loss=loss, weight=weight, correct=correct, images=images)
