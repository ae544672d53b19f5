"""A training from beginning to end: a new run, or one that goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cnntrain.config import Config, resolved_yaml
from cnntrain.errors import ArgumentError, CnntrainError, RunFolderError
from cnntrain.kernels.compiler.threads import set_threads, threading_layer, threading_layer_warning
from cnntrain.runs.atomic import write_atomically
from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.runs.environment import describe_environment, record_environment
from cnntrain.runs.folder import RunFolder, create_run_folder, hold, open_run_folder
from cnntrain.runs.metrics_file import drop_records_after
from cnntrain.runs.progress import Metrics
from cnntrain.runs.reporter import Reporter
from cnntrain.training.interruption import signal_name
from cnntrain.training.loop import Loop, Outcome
from cnntrain.training.resume import configs_of_run, load_state, schedule_change
from cnntrain.training.setup import Training, build_training
from cnntrain.training.warm_up import compiling
from cnntrain.warm_up import warm_up


def start_run(
    config: Config, reporter: Reporter, *, out: Path | None = None, threads: int | None = None
) -> tuple[RunFolder, Outcome]:
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

    Raises
    ------
    DataError, ConfigError, ArgumentError, RunFolderError
        Something the training needs is wrong; found before the first step as far as possible.
    TrainingError
        The loss became NaN or infinite.
    """
    set_threads(threads)
    training = build_training(config, reporter.warning)
    folder = create_run_folder(config.name, out)
    with hold(folder), _logged(folder, reporter):
        write_atomically(folder.config, resolved_yaml(config).encode())
        _describe(training, folder, reporter)
        _prepare(training, folder, reporter)
        return folder, _finish(Loop(training, folder, reporter).run(), folder, reporter)


def resume_run(
    run: Path,
    reporter: Reporter,
    *,
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    threads: int | None = None,
) -> tuple[RunFolder, Outcome]:
    """Continue a run after its last finished epoch, to the bit as if it had never stopped.

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

    Raises
    ------
    ArgumentError
        The config differs in something else, or ends before the point already reached.
    CheckpointError
        `last.safetensors` is damaged, or the data are not those of the run.
    DataError, ConfigError, RunFolderError, TrainingError
        As for `start_run`.
    """
    set_threads(threads)
    folder = open_run_folder(run)
    with hold(folder):  # before reading: nobody else may move on from this checkpoint
        checkpoint = read_checkpoint(folder.last)
        progress = checkpoint.metadata.progress
        old, new = configs_of_run(folder, checkpoint.metadata, config_file, overrides)
        training = build_training(new, reporter.warning)
        if training.total_steps < progress.step:
            raise ArgumentError(
                f"{run}: has already made {progress.step:,} steps ({progress.epoch} epochs); "
                f"the config now ends after {training.total_steps:,}"
            )
        load_state(folder.last, checkpoint, training)
        with _logged(folder, reporter):
            write_atomically(folder.config, resolved_yaml(new).encode())
            drop_records_after(folder.metrics, progress.step)
            reporter.line(f"continuing {folder.path} after epoch {progress.epoch} (step {progress.step:,})")
            _describe(training, folder, reporter)
            change = schedule_change(training, old, progress.step)
            if change:
                reporter.line(change)
            _prepare(training, folder, reporter)
            return folder, _finish(Loop(training, folder, reporter, progress).run(), folder, reporter)


@contextmanager
def _logged(folder: RunFolder, reporter: Reporter) -> Iterator[None]:
    """Keep the log open; an error is logged on its way out."""
    reporter.open_log(folder.log)
    try:
        yield
    except CnntrainError as error:
        with suppress(RunFolderError):  # a full disk is full for the log too
            reporter.log(f"error: {error}")
        raise
    except KeyboardInterrupt:
        with suppress(RunFolderError):
            reporter.log("interrupted")
        raise
    finally:
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
    reporter.line(
        f"{parameters:,} parameters; batches of {training.batch_size}, {training.total_steps:,} steps, "
        f"{training.steps_per_epoch:,} per epoch"
    )
    reporter.line(f"run folder {folder.path}")


def _prepare(training: Training, folder: RunFolder, reporter: Reporter) -> None:
    """Compile or load the kernels before the clock runs, and note what they run on."""
    shape, classes = training.network.input_shape, len(training.data.class_names)
    with compiling(training.config, shape, classes, training.batch_size, reporter):
        training.optimizer.warm_up()
        for image_type in training.feed.image_types:
            warm_up(training.network, image_type)
        training.feed.warm_up()
    layer, threads = threading_layer(), set_threads(None)
    reporter.line(f"{threads} thread{'s' if threads > 1 else ''} ({layer})")
    warning = threading_layer_warning(layer)
    if warning:
        reporter.warning(warning)
    record_environment(folder.environment, describe_environment(threads, layer))


def _finish(outcome: Outcome, folder: RunFolder, reporter: Reporter) -> Outcome:
    progress = outcome.progress
    if outcome.stopped_by:
        name = signal_name(outcome.stopped_by)
        if progress is None:
            reporter.line(f"stopped by {name} before an epoch was finished: {folder.path} has no checkpoint")
        else:
            reporter.line(
                f"stopped by {name}: the checkpoint of epoch {progress.epoch} is in {folder.last}; "
                f"continue with: cnntrain train --resume {folder.path}"
            )
    if progress is not None:
        best = _in_words(progress.best_metrics)
        reporter.line(f"best: epoch {progress.best_epoch}, {best} ({folder.best})")
    return outcome


def _in_words(metrics: Metrics) -> str:
    if metrics.validation_accuracy is None:
        return f"training loss {metrics.train_loss:.4f}"
    return f"validation accuracy {metrics.validation_accuracy:.2%}"
