"""What must hold when a run goes on: the same config, the same data, a whole checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from cnntrain.config import Config, load_config, resolved_yaml
from cnntrain.config.flat import flat
from cnntrain.errors import ArgumentError, CheckpointError
from cnntrain.evaluation.class_weights import with_known_weights
from cnntrain.evaluation.restored import config_of, load_network
from cnntrain.runs.checkpoint import (
    Checkpoint,
    Metadata,
    check_tensors,
    checkpoint_bytes,
    read_checkpoint,
    save_checkpoint,
)
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.progress import Inside, Metrics, Progress
from cnntrain.training.setup import Training, rate_at, schedule_of

MAY_CHANGE = ("train.epochs", "train.steps", "early_stopping.patience", "checkpoint", "train.log")


def configs_of_run(
    folder: RunFolder,
    found: tuple[Path, Metadata] | None,
    config_file: Path | None,
    overrides: Sequence[str],
) -> tuple[Config, Config]:
    """Return the config that a run began with, and the one to go on with.

    Parameters
    ----------
    folder : RunFolder
    found : tuple of Path and Metadata, or None
        The checkpoint to go on from; None if the run was ended before its first.
    config_file : Path or None
        None takes the folder's `config.yaml`, or the checkpoint's own config if that is lost.
    overrides : sequence of str

    Raises
    ------
    ArgumentError
        They differ in more than `MAY_CHANGE`; names the differences.
    """
    old = load_config(folder.config) if found is None else config_of(*found)
    if config_file is None and found is not None and not folder.config.exists():
        new = config_of(*found, overrides)
    else:
        new = load_config(config_file or folder.config, overrides)
    check_unchanged(folder, old, with_known_weights(new, old))
    return old, new


def check_unchanged(folder: RunFolder, old: Config, new: Config) -> None:
    """Raise `ArgumentError`, with the differences, if two configs differ in more than `MAY_CHANGE`."""
    changed = _changes(old, new)
    if changed:
        raise ArgumentError(
            f"{folder.path}: a run goes on with the config that it began with; only {', '.join(MAY_CHANGE[:-1])} and "
            f"{MAY_CHANGE[-1]} may change. Different now:\n  " + "\n  ".join(changed)
        )


def _changes(old: Config, new: Config) -> list[str]:
    before, after = flat(yaml.safe_load(resolved_yaml(old))), flat(yaml.safe_load(resolved_yaml(new)))
    return [
        f"{key}: {before.get(key, 'not there')} -> {after.get(key, 'not there')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key) and not f"{key}.".startswith(tuple(f"{may}." for may in MAY_CHANGE))
    ]


def check_storable(path: Path, training: Training) -> None:
    """Raise `RunFolderError` now, rather than after an epoch, if a checkpoint could not be read again."""
    metrics = Metrics(train_loss=0.0, train_accuracy=0.0)
    progress = Progress(epoch=1, step=1, metrics=metrics, best_epoch=1, best_metrics=metrics)
    checkpoint_bytes(path, training.checkpoint(progress))


def load_state(path: Path, checkpoint: Checkpoint, training: Training) -> None:
    """Put everything into a checkpoint's state; raises `CheckpointError` if the data, tensors or numbers do not fit."""
    metadata, network = checkpoint.metadata, training.network
    changed = _data_changes(metadata, training)
    if changed:
        raise CheckpointError(f"{path}: the data are not those of the run. Different now:\n  " + "\n  ".join(changed))
    progress = metadata.progress
    if progress.epoch != -(-progress.step // training.steps_per_epoch):
        raise CheckpointError(f"{path}: its progress makes no sense: epoch {progress.epoch}, step {progress.step}")
    recorded = metadata.recorded
    if recorded is not None and recorded.step > progress.step:
        raise CheckpointError(f"{path}: its progress makes no sense: step {recorded.step} before step {progress.step}")
    if checkpoint.not_finite:
        raise CheckpointError(
            f"{path}: NaN or infinity in {', '.join(checkpoint.not_finite[:5])}: a training cannot go on from there"
        )
    load_network(path, network, checkpoint.network, "the network of its config")
    if checkpoint.best_before:
        check_tensors(path, checkpoint.best_before, network.state(), "the network of its config, as the best before,")
    optimizer = f"the optimizer {training.config.optimizer.name}"
    check_tensors(path, checkpoint.optimizer, training.optimizer.state(), optimizer)
    try:
        training.optimizer.load_state(checkpoint.optimizer)
        training.schedule.load_state(progress.schedule)
        training.stopping.load_state(progress.early_stopping)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def mend_best(folder: RunFolder, checkpoint: Checkpoint, training: Training, warn: Callable[[str], None]) -> Checkpoint:
    """See to it that `best.safetensors` is what `last.safetensors` says, and has the config to go on with.

    Where it is not and cannot be made again, the best epoch is the last one from now on; or, from a checkpoint inside
    an epoch, the one that ends next.

    Returns
    -------
    Checkpoint
        The one that was given, with the config to go on with.
    """
    config = {"config": resolved_yaml(training.config)}
    checkpoint = replace(checkpoint, metadata=checkpoint.metadata.model_copy(update=config))
    progress = checkpoint.metadata.recorded
    if progress is None:
        return checkpoint
    best, problem, aside = _best(folder, progress, training)
    if best is not None:
        if best.metadata.config != config["config"]:
            save_checkpoint(folder.best, replace(best, metadata=best.metadata.model_copy(update=config)))
        return checkpoint
    if checkpoint.metadata.inside is not None:
        return _mend_inside(folder, checkpoint, problem, warn)
    if progress.best_epoch == progress.epoch:
        warn(f"{folder.best}: {problem}; made again from {folder.last.name}")
    else:
        warn(
            f"{folder.best}: {problem}, and cannot be made again: the best epoch was {progress.best_epoch}, "
            f"{folder.last.name} is of epoch {progress.epoch}. From now on that one is the best, until a better comes"
        )
        now = {"best_epoch": progress.epoch, "best_metrics": progress.metrics}
        metadata = checkpoint.metadata.model_copy(update={"progress": progress.model_copy(update=now)})
        checkpoint = replace(checkpoint, metadata=metadata)
        save_checkpoint(folder.last, checkpoint)
    if aside:
        folder.best.replace(folder.best.with_name(f"{folder.best.name}.foreign"))
    save_checkpoint(folder.best, checkpoint.as_best())
    return checkpoint


def _mend_inside(folder: RunFolder, checkpoint: Checkpoint, problem: str, warn: Callable[[str], None]) -> Checkpoint:
    """Make the best checkpoint again of `last.safetensors`, or forget it, for a checkpoint inside an epoch."""
    recorded = checkpoint.metadata.recorded
    assert recorded is not None  # or there would be nothing to mend
    try:
        last = read_checkpoint(folder.last)
    except CheckpointError:
        last = None
    if last is not None and last.metadata.progress == recorded and recorded.best_epoch == recorded.epoch:
        warn(f"{folder.best}: {problem}; made again from {folder.last.name}")
        config = {"config": checkpoint.metadata.config}
        best = last.as_best()
        save_checkpoint(folder.best, replace(best, metadata=best.metadata.model_copy(update=config)))
        return checkpoint
    warn(
        f"{folder.best}: {problem}, and cannot be made again: the best epoch was {recorded.best_epoch}. "
        "The next epoch is the best, until a better comes"
    )
    forgotten = {"inside": Inside(), "best_before": None}
    return replace(checkpoint, metadata=checkpoint.metadata.model_copy(update=forgotten), best_before={})


def _best(folder: RunFolder, progress: Progress, training: Training) -> tuple[Checkpoint | None, str, bool]:
    """Find the best checkpoint that belongs to a run's progress.

    Returns
    -------
    Checkpoint or None
    str
        What is wrong with it.
    bool
        Somebody may want the file that is there, because it is no earlier one of this run.
    """
    if not folder.best.exists():
        return None, "is lost", False
    try:
        best = read_checkpoint(folder.best)
        foreign = _changes(config_of(folder.best, best.metadata), training.config)
        check_tensors(folder.best, best.network, training.network.state(), "the network of the run")
    except CheckpointError as error:
        return None, str(error).removeprefix(f"{folder.best}: ").splitlines()[0], True
    if foreign or _data_changes(best.metadata, training):
        return None, "is of another run", True
    theirs = best.metadata.progress
    if (theirs.epoch, theirs.metrics) == (progress.best_epoch, progress.best_metrics):
        return best, "", False
    problem = f"is of epoch {theirs.epoch}, the best was epoch {progress.best_epoch}"
    return None, problem, theirs.epoch >= progress.best_epoch


def unrecorded(epochs: Sequence[int], last: int) -> str:
    """Return the epochs up to `last` that are not among those recorded, in words; empty if none is missing."""
    spans, expected = [], 1
    for epoch in [*sorted(set(epochs)), last + 1]:
        if epoch > last + 1:
            break
        if epoch > expected:
            spans.append(f"{expected}" if epoch == expected + 1 else f"{expected} to {epoch - 1}")
        expected = epoch + 1
    return ", ".join(spans)


def schedule_change(training: Training, old: Config, step: int) -> str | None:
    """Say how a longer training changes what the schedule would have done; None if it does not."""
    schedule, _ = schedule_of(old, training.steps_per_epoch)
    schedule.load_state(training.schedule.state())
    rate, now = rate_at(training.learning_rate, schedule, step - 1), training.learning_rate_at(step - 1)
    if rate == now:
        return None
    return (
        f"the schedule {old.schedule.name} now runs over {training.total_steps:,} steps: "
        f"the last step's learning rate would have been {now:.4g}, it was {rate:.4g}"
    )


def _data_changes(metadata: Metadata, training: Training) -> list[str]:
    now = training.metadata(metadata.progress)
    names = ("images", "class_names", "input_shape", "image_type", "normalization")
    return [
        f"{name}: {getattr(metadata, name)} -> {getattr(now, name)}"
        for name in names
        if getattr(metadata, name) != getattr(now, name)
    ]
