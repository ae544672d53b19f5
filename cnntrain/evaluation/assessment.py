"""From a checkpoint file to the report of its evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from cnntrain.config import Config
from cnntrain.data import DataSet
from cnntrain.data.terminal import load_split_and_tell
from cnntrain.errors import CheckpointError, ConfigError
from cnntrain.evaluation.evaluate import evaluate
from cnntrain.evaluation.report import TOP, EvaluationReport, Promise
from cnntrain.evaluation.restored import Restored, normalization_for, restore
from cnntrain.printable import printable
from cnntrain.processes.agreement import agree, digest_of
from cnntrain.processes.team import ALONE, Team
from cnntrain.runs.environment import computing_with

BATCH = 128  # images at a time; the result does not depend on it


def assess(
    path: Path,
    split: str,
    *,
    config: Config | None = None,
    overrides: Sequence[str] = (),
    require_promise: bool = False,
    top: int = TOP,
    warn: Callable[[str], None],
    team: Team = ALONE,
) -> EvaluationReport:
    """Evaluate a checkpoint on a split of its data.

    Parameters
    ----------
    path : Path
        The checkpoint file.
    split : str
        "train", "validation" or "test".
    config : Config or None
        Names the data, and the network if it is not the checkpoint's own; None takes the checkpoint's config.
    overrides : sequence of str
        Changes to the checkpoint's config (`data.path=...`).
    require_promise : bool
        A config without `expect` is an error.
    top : int
        The k of the report's top-k accuracy.
    warn : callable
        Called with a text that the user should see.
    team : Team
        The processes that share the images, each of which calls this and gets the same report.

    Raises
    ------
    ArgumentError
        The processes do not have the same things to compute with.
    CheckpointError
        The file is damaged, or does not fit the config or the data.
    ConfigError, DataError
        The data cannot be loaded, have no such split, or no promise is there.
    TrainingError
        The network gives NaN or infinity.
    """
    restored = restore(path, batch_size=BATCH, overrides=overrides, config=config)
    check_same(team, restored)
    if restored.not_finite:
        warn(f"{path}: NaN or infinity in {', '.join(restored.not_finite)}")
    config = restored.config
    if require_promise and config.expect is None:
        raise ConfigError(f"{config.name}: the config has no expect: block to compare with")
    metadata = restored.metadata
    data, seed = config.data, config.seed
    images = team.first_on_machine(
        lambda: load_split_and_tell(data, seed, split, metadata.class_names, metadata.input_shape, warn)
    )
    if team.size > 1:
        agree(team, {f"{split} images (digest)": digest_of(images.images, images.labels)})
    normalization = normalization_for(restored, images.images.dtype)
    evaluation = evaluate(restored.network, images, normalization, BATCH, team=team)
    return EvaluationReport(
        checkpoint=str(path),
        epoch=restored.metadata.progress.epoch,
        split=split,
        class_names=restored.metadata.class_names,
        evaluation=evaluation,
        promise=Promise(config.expect, evaluation.accuracy) if config.expect and split == "test" else None,
        top=top,
    )


def check_same(team: Team, restored: Restored) -> None:
    """Raise `ArgumentError` if processes that share a network do not have the same one, or the same to run it with."""
    if team.size > 1:
        weights = hashlib.blake2b(digest_size=16)
        for name, values in sorted(restored.network.state().items()):
            weights.update(name.encode() + values.tobytes())
        agree(team, computing_with() | {"the checkpoint's weights (digest)": weights.hexdigest()})


def check_fit(restored: Restored, data: DataSet) -> None:
    """Raise `CheckpointError` unless the data have the images and the classes that the network was trained on."""
    metadata = restored.metadata
    shape = tuple(data.train.images.shape[1:])
    if shape != metadata.input_shape:
        raise CheckpointError(
            f"{restored.path}: the network takes images of {_sizes(metadata.input_shape)}, "
            f"the data have {_sizes(shape)}"
        )
    if tuple(data.class_names) != metadata.class_names:
        raise CheckpointError(
            f"{restored.path}: the network knows {_classes(metadata.class_names)}, "
            f"the data have {_classes(data.class_names)}"
        )


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _classes(names: Sequence[str]) -> str:
    shown = ", ".join(map(printable, names[:10])) + (", ..." if len(names) > 10 else "")
    return f"{len(names)} classes ({shown})"
