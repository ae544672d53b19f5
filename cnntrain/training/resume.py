"""What must hold when a run goes on: the same config, the same data, a whole checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from cnntrain.config import Config, load_config, resolved_yaml
from cnntrain.errors import ArgumentError, CheckpointError
from cnntrain.evaluation.restored import config_of, load_network
from cnntrain.runs.checkpoint import Checkpoint, Metadata, check_tensors
from cnntrain.runs.folder import RunFolder
from cnntrain.training.setup import Training, schedule_of

MAY_CHANGE = ("train.epochs", "train.steps")


def configs_of_run(
    folder: RunFolder, metadata: Metadata, config_file: Path | None, overrides: Sequence[str]
) -> tuple[Config, Config]:
    """Return the config that a run began with, and the one to go on with.

    Raises
    ------
    ArgumentError
        They differ in more than `MAY_CHANGE`; names the differences.
    """
    old = config_of(folder.last, metadata)
    if config_file is None and not folder.config.exists():
        new = config_of(folder.last, metadata, overrides)
    else:
        new = load_config(config_file or folder.config, overrides)
    before, after = _flat(yaml.safe_load(resolved_yaml(old))), _flat(yaml.safe_load(resolved_yaml(new)))
    changed = [
        f"{key}: {before.get(key, 'not there')} -> {after.get(key, 'not there')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key) and key not in MAY_CHANGE
    ]
    if changed:
        raise ArgumentError(
            f"{folder.path}: a run goes on with the config that it began with; only {' and '.join(MAY_CHANGE)} may "
            "change. Different now:\n  " + "\n  ".join(changed)
        )
    return old, new


def load_state(path: Path, checkpoint: Checkpoint, training: Training) -> None:
    """Put everything into a checkpoint's state; raises `CheckpointError` if the data, tensors or numbers do not fit."""
    _check_data(path, checkpoint.metadata, training)
    load_network(path, training.network, checkpoint.network, "the network of its config")
    optimizer = f"the optimizer {training.config.optimizer.name}"
    check_tensors(path, checkpoint.optimizer, training.optimizer.state(), optimizer)
    try:
        training.optimizer.load_state(checkpoint.optimizer)
        training.schedule.load_state(checkpoint.metadata.progress.schedule)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def schedule_change(training: Training, old: Config, step: int) -> str | None:
    """Say how a longer training changes what the schedule would have done; None if it does not."""
    schedule, _ = schedule_of(old, training.steps_per_epoch)
    schedule.load_state(training.schedule.state())
    rate, now = training.learning_rate * schedule.factor(step - 1), training.learning_rate_at(step - 1)
    if rate == now:
        return None
    return (
        f"the schedule {old.schedule.name} now runs over {training.total_steps:,} steps: "
        f"the last step's learning rate would have been {now:.4g}, it was {rate:.4g}"
    )


def _check_data(path: Path, metadata: Metadata, training: Training) -> None:
    now = training.checkpoint(metadata.progress, with_optimizer=False).metadata
    names = ("images", "class_names", "input_shape", "image_type", "normalization")
    changed = [
        f"{name}: {getattr(metadata, name)} -> {getattr(now, name)}"
        for name in names
        if getattr(metadata, name) != getattr(now, name)
    ]
    if changed:
        raise CheckpointError(f"{path}: the data are not those of the run. Different now:\n  " + "\n  ".join(changed))


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return every scalar of nested mappings and lists under its dotted path."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, Mapping):
        return {path: value}
    flat: dict[str, Any] = {} if value else {path: value}
    for key, item in value.items():
        flat |= _flat(item, f"{path}.{key}" if path else str(key))
    return flat
