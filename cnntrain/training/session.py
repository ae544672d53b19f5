"""A training from beginning to end: a new run, or one that goes on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cnntrain import __version__
from cnntrain.config import Config, parse_config, resolved_yaml
from cnntrain.errors import ArgumentError, RunFolderError
from cnntrain.evaluation.start_from import start_from
from cnntrain.kernels.compiler.threads import set_threads, threading_layer, threading_layer_warning
from cnntrain.network import Network
from cnntrain.optimizers import Optimizer
from cnntrain.processes.team import ALONE, Team
from cnntrain.runs.checkpoint import Checkpoint
from cnntrain.runs.disk import write_atomically
from cnntrain.runs.environment import describe_environment, record_environment
from cnntrain.runs.folder import RunFolder, check_unfinished, create_run_folder, hold, open_run_folder
from cnntrain.runs.logs import open_logs
from cnntrain.runs.metrics_file import drop_records_after, epochs_recorded
from cnntrain.runs.progress import Metrics
from cnntrain.runs.reporter import Reporter
from cnntrain.training.interruption import signal_name
from cnntrain.training.keeping import newest_checkpoint
from cnntrain.training.loop import Loop, Outcome
from cnntrain.training.recording import NoRecords, Recorder
from cnntrain.training.resume import (
    check_storable,
    check_unchanged,
    configs_of_run,
    load_state,
    mend_best,
    schedule_change,
    unrecorded,
)
from cnntrain.training.setup import Training, build_training, network_and_optimizer
from cnntrain.training.warm_up import compiling
from cnntrain.warm_up import warm_up

Run = tuple[RunFolder, Outcome]


def start_run(
    config: Config,
    reporter: Reporter,
    *,
    out: Path | None = None,
    threads: int | None = None,
    team: Team = ALONE,
) -> Run:
    """Train in a new run folder.

    Parameters
    ----------
    config : Config
    reporter : Reporter
        Told what happens.
    out : Path or None
        The run folder; None makes `runs/<name>-<n>`.
    threads : int or None
        Threads of the kernels; None takes all cores. The result does not depend on it.
    team : Team
        The processes that train together, each of which calls this. The first one writes.

    Raises
    ------
    DataError, ConfigError, ArgumentError, RunFolderError
        Something the training needs is wrong; found before the first step as far as possible.
    TrainingError
        The loss, or something that a checkpoint would hold, became NaN or infinite.
    """
    fitting = team.threads()  # asked in any case: all must ask
    set_threads(threads or fitting)
    with _warnings(reporter):
        training = build_anew(config, reporter, team)
        if not team.writes:
            return _follow(training, None, reporter, team)
        folder = create_run_folder(config.name, out)
        with hold(folder):
            check_unfinished(folder)  # again: until now it was not ours
            return _begin(training, folder, reporter, team)


def resume_run(
    run: Path,
    reporter: Reporter,
    *,
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    threads: int | None = None,
    team: Team = ALONE,
) -> Run:
    """Continue a run after its last finished epoch, to the bit as if it had never stopped.

    One that was ended before its first checkpoint begins again.

    Parameters
    ----------
    run : Path
        The run folder.
    reporter : Reporter
    config_file : Path or None
        The config; None takes the folder's `config.yaml`, or the checkpoint's own if that is lost. It may differ from
        that of the checkpoint in `train.epochs` or `train.steps` only.
    overrides : sequence of str
        `--set` arguments.
    threads : int or None
    team : Team
        As for `start_run`; the run may have been on any other number of processes.

    Raises
    ------
    ArgumentError
        The config differs in something else, or ends before the point already reached.
    CheckpointError
        `last.safetensors` is damaged, or the data are not those of the run.
    DataError, ConfigError, RunFolderError, TrainingError
        As for `start_run`.
    """
    fitting = team.threads()  # asked in any case: all must ask
    set_threads(threads or fitting)
    if not team.writes:
        with _warnings(reporter):
            return _resume_others(reporter, team)
    folder = open_run_folder(run)
    with hold(folder), _warnings(reporter):  # before reading: nobody else may move on from this checkpoint
        open_run_folder(run)  # again: until now it was not ours
        found = newest_checkpoint(folder, reporter.warning)
        old, new = configs_of_run(folder, found and (found[0], found[1].metadata), config_file, overrides)
        team.from_first(lambda: (found, resolved_yaml(new)))
        if found is None:
            return _begin(build_anew(new, reporter, team), folder, reporter, team)
        path, checkpoint = found
        training = build_training(new, reporter.warning, team)
        check_unchanged(folder, old, training.config)  # again: class weights are numbers now
        _check_length(training, checkpoint, folder)
        load_state(path, checkpoint, training)
        return _continue(training, found, old, folder, reporter, team)


def _resume_others(reporter: Reporter, team: Team) -> Run:
    """Continue a run in a process that does not write: with the checkpoint and the config of the one that does."""
    found, text = team.from_first(_nothing)
    config = parse_config(text, "the config of process 0")
    if found is None:
        return _follow(build_anew(config, reporter, team), None, reporter, team)
    path, checkpoint = found
    training = build_training(config, reporter.warning, team)
    load_state(path, checkpoint, training)
    return _follow(training, checkpoint, reporter, team)


def _follow(training: Training, checkpoint: Checkpoint | None, reporter: Reporter, team: Team) -> Run:
    """Train in a process that leaves records and words to another."""
    team.first_on_machine(lambda: compile_kernels(training, reporter))
    Loop(training, NoRecords(), reporter, checkpoint, team).run()
    run: Run = team.from_first(_nothing)
    return run


def _nothing() -> Any:
    """Stand for what process 0 makes, in the others."""


def build_anew(config: Config, reporter: Reporter, team: Team = ALONE) -> Training:
    """Build what begins to train, with the weights of the config's `init` if it has one; raises as `start_run`."""
    training = build_training(config, reporter.warning, team)
    if team.writes:
        start_from(config, training.network, training.data.class_names, reporter.line, reporter.warning)
    if team.size > 1:  # others may not have the file that they come from
        training.network.load_state(team.from_first(training.network.state))
    return training


def _check_length(training: Training, checkpoint: Checkpoint, folder: RunFolder) -> None:
    progress = checkpoint.metadata.progress
    if training.total_steps < progress.step:
        raise ArgumentError(
            f"{folder.path}: has already made {progress.step:,} steps ({progress.epoch} epochs); "
            f"the config now ends after {training.total_steps:,}"
        )


def _begin(training: Training, folder: RunFolder, reporter: Reporter, team: Team) -> Run:
    """Train from the first step, in a folder that is held."""
    again = folder.config.exists()
    with _logged(folder, reporter):
        if again:
            reporter.line(f"beginning again: no epoch was finished in {folder.path}")
        reporter.log(f"cnntrain {__version__}")
        reporter.sync()  # the log comes first: it tells whose folder this is
        check_storable(folder.last, training)
        write_atomically(folder.config, resolved_yaml(training.config).encode())
        drop_records_after(folder.metrics, 0)
        _describe(training, folder, reporter)
        _prepare(training, folder, reporter, team)
        with open_logs(training.config, folder, 0) as logs:
            records = Recorder(training, folder, reporter, logs=logs)
            outcome = Loop(training, records, reporter, team=team).run()
        return team.from_first(lambda: (folder, _finish(outcome, folder, reporter)))


def _continue(
    training: Training,
    found: tuple[Path, Checkpoint],
    old: Config,
    folder: RunFolder,
    reporter: Reporter,
    team: Team,
) -> Run:
    """Train from a checkpoint whose state is loaded, in a folder that is held."""
    path, checkpoint = found
    progress, recorded = checkpoint.metadata.progress, checkpoint.metadata.recorded
    with _logged(folder, reporter):
        write_atomically(folder.config, resolved_yaml(training.config).encode())
        drop_records_after(folder.metrics, progress.step)
        where = "after" if checkpoint.metadata.inside is None else "inside"
        reporter.line(f"continuing {folder.path} {where} epoch {progress.epoch} (step {progress.step:,})")
        last = 0 if recorded is None else recorded.epoch
        if recorded is not None and recorded.unfinished.images and training.total_steps > recorded.step:
            last -= 1  # its row is written again
        missing = unrecorded(epochs_recorded(folder.metrics), last)
        if missing:
            reporter.warning(
                f"{folder.metrics}: has no row of epoch {missing}: lost, although there is a later checkpoint"
            )
        checkpoint = mend_best(folder, checkpoint, training, reporter.warning)
        _describe(training, folder, reporter)
        change = schedule_change(training, old, progress.step)
        if change:
            reporter.line(change)
        _prepare(training, folder, reporter, team)
        with open_logs(training.config, folder, progress.step) as logs:
            records = Recorder(training, folder, reporter, checkpoint, path, logs)
            outcome = Loop(training, records, reporter, checkpoint, team).run()
        return team.from_first(lambda: (folder, _finish(outcome, folder, reporter)))


@contextmanager
def _warnings(reporter: Reporter) -> Iterator[None]:
    """Let Python's warnings be the reporter's."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: reporter.warning(str(message))
        yield


@contextmanager
def _logged(folder: RunFolder, reporter: Reporter) -> Iterator[None]:
    """Keep the log open; an error is logged on its way out."""
    reporter.open_log(folder.log)
    try:
        yield
    except BaseException as error:
        what = "interrupted" if isinstance(error, KeyboardInterrupt) else f"error: {error or type(error).__name__}"
        with suppress(RunFolderError):  # a full disk is full for the log too
            reporter.log(what)
        raise
    finally:
        with suppress(RunFolderError):
            reporter.sync()
        reporter.close()


def _describe(training: Training, folder: RunFolder, reporter: Reporter) -> None:
    data, sizes = training.data, training.split_sizes
    validation = f", {sizes['validation']:,} for validation" if data.validation else ""
    channels, rows, columns = data.train.images.shape[1:]
    reporter.line(
        f"{training.config.name}: {sizes['train']:,} training images{validation} ({channels}x{rows}x{columns}, "
        f"{len(data.class_names)} classes)"
    )
    if data.validation is None:
        reporter.line(
            "no validation split (data.validation: 0): the best epoch is the one with the least training loss"
        )
    parameters = sum(parameter.value.size for parameter in training.network.parameters)
    shards = f" in {training.config.train.shards} shards" if training.config.train.shards > 1 else ""
    reporter.line(
        f"{parameters:,} parameters; batches of {training.batch_size}{shards}, {training.total_steps:,} steps, "
        f"{training.steps_per_epoch:,} per epoch"
    )
    reporter.line(f"run folder {folder.path}")


def compile_kernels(training: Training, reporter: Reporter) -> None:
    """Compile or load the kernels that a training needs, changing nothing."""
    shape, classes = training.network.input_shape, len(training.data.class_names)
    batch_size = training.network.batch_size

    def prepare(network: Network, optimizer: Optimizer) -> None:
        optimizer.warm_up()
        for image_type in training.feed.image_types:
            warm_up(network, image_type)
        training.feed.warm_up()

    def rehearsed() -> None:
        prepare(*network_and_optimizer(training.config, shape, classes, batch_size))

    with compiling(training.config, shape, classes, batch_size, reporter, rehearsed):
        prepare(training.network, training.optimizer)


def _prepare(training: Training, folder: RunFolder, reporter: Reporter, team: Team) -> None:
    """Compile the kernels before the clock runs, and note what they run on."""
    team.first_on_machine(lambda: compile_kernels(training, reporter))
    layer, threads = threading_layer(), set_threads(None)
    processes = f"{team.size} processes, each with " if team.size > 1 else ""
    reporter.line(f"{processes}{threads} thread{'s' if threads > 1 else ''} ({layer})")
    warning = threading_layer_warning(layer)
    if warning:
        reporter.warning(warning)
    record_environment(folder.environment, describe_environment(threads, layer, team.names()))


def _finish(outcome: Outcome, folder: RunFolder, reporter: Reporter) -> Outcome:
    progress = outcome.progress
    if outcome.no_better:
        reporter.line(f"ended early: {outcome.no_better}")
    if outcome.stopped_by:
        name = signal_name(outcome.stopped_by)
        where = f"continue with: cnntrain train --resume {folder.path}"
        if outcome.inside is not None:
            reporter.line(f"stopped by {name}: the checkpoint of step {outcome.step:,} is in {outcome.inside}; {where}")
        elif progress is not None:
            reporter.line(f"stopped by {name}: the checkpoint of epoch {progress.epoch} is in {folder.last}; {where}")
        else:
            reporter.line(
                f"stopped by {name} before the first step: {folder.path} has no checkpoint; "
                f"begin again with: cnntrain train --resume {folder.path}"
            )
    if progress is not None:
        best = _in_words(progress.best_metrics)
        reporter.line(f"best: epoch {progress.best_epoch}, {best} ({folder.best})")
    return outcome


def _in_words(metrics: Metrics) -> str:
    if metrics.validation_accuracy is None:
        return f"training loss {metrics.train_loss:.4f}"
    return f"validation accuracy {metrics.validation_accuracy:.2%}"
