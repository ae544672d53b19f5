"""What is explained: a network in float64, one or a few images, and the step that a training would make with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.config import Config, infer_shapes, load_config
from cnntrain.data import DataSet, Normalization, Split
from cnntrain.data.terminal import load_and_tell
from cnntrain.errors import ArgumentError, CheckpointError
from cnntrain.evaluation.assessment import check_fit
from cnntrain.evaluation.class_weights import resolve_loss
from cnntrain.evaluation.restored import Restored, normalization_for, restore
from cnntrain.evaluation.start_from import start_from
from cnntrain.evaluation.whiten import whiten
from cnntrain.explain.pictures import Pictures, Wanted, label_of, of_file, of_split
from cnntrain.explain.trace import Trace, trace
from cnntrain.layers import LayerRow
from cnntrain.network import AsTheyAre, Network
from cnntrain.optimizers import OPTIMIZERS, Course, Optimizer
from cnntrain.runs.checkpoint import Tensors, read_checkpoint
from cnntrain.runs.folder import RunFolder, find_checkpoint
from cnntrain.schedules import SCHEDULES
from cnntrain.shape import Shape

MOST_IMAGES = 256


@dataclass(frozen=True)
class Example:
    """A network with images and all that its next training step needs.

    Attributes
    ----------
    name : str
        The config's file, or the checkpoint's.
    origin : str
        Where the weights come from: "initial weights", "after epoch 3 (step 2,580)".
    config : Config
    network : Network
        float64, without fusions, with dL/d(image).
    stored : ndarray, uint8 or float32, (N, channels, rows, columns)
        As the data hold them.
    images : ndarray, float64, (N, channels, rows, columns)
        Normalised.
    labels : ndarray, int64, (N,)
    class_names : tuple of str
    title : str
        What the images are: "image 7 of the test split".
    normalization : Normalization
    optimizer : Optimizer
        With the state of the checkpoint, where that has it.
    learning_rate : float
        Of the step, the schedule's factor included.
    step : int
        0-based number of the step.
    notes : tuple of str
        What one should know: a label that was guessed, an optimiser that begins anew.
    """

    name: str
    origin: str
    config: Config
    network: Network
    stored: NDArray[Any]
    images: NDArray[np.float64]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    title: str
    normalization: Normalization
    optimizer: Optimizer
    learning_rate: float
    step: int
    notes: tuple[str, ...]

    def trace(self) -> Trace:
        """Make the step and keep all of it; afterwards everything is as before, the optimiser too."""
        state = self.optimizer.state()
        made = trace(
            self.network, self.images, self.labels,
            optimizer=self.optimizer, learning_rate=self.learning_rate, step=self.step,
        )  # fmt: skip
        self.optimizer.load_state(state)
        return made


@dataclass(frozen=True)
class _Subject:
    """A network before images are chosen."""

    name: str
    origin: str
    config: Config
    shape: Shape
    class_names: tuple[str, ...]
    tensors: Tensors | None  # None: the initial ones
    optimizer: Tensors | None
    steps: int  # made so far
    epoch_images: int
    schedule: dict[str, float | None]
    notes: tuple[str, ...]
    train: Split | None = None  # where the weights are the initial ones


def example_of(
    target: Path,
    *,
    from_config: bool,
    wanted: Wanted = Wanted(),  # noqa: B008 - it is frozen
    overrides: Sequence[str] = (),
    warn: Callable[[str], None] = lambda text: None,
) -> Example:
    """Build what is explained.

    Parameters
    ----------
    target : Path
        A config, with its initial weights; or a run folder (its last checkpoint, which knows the optimiser) or a
        checkpoint.
    from_config : bool
        Which of the two it is.
    wanted : Wanted
        Which images.
    overrides : sequence of str
        `--set` arguments.
    warn : callable
        Called with a text that the user should see.

    Raises
    ------
    ConfigError, DataError, CheckpointError, RunFolderError
        Something cannot be read, or does not fit together.
    ArgumentError
        There is no such image or class.
    """
    if not 1 <= wanted.images <= MOST_IMAGES or wanted.index < 0:
        raise ArgumentError(f"1 to {MOST_IMAGES} images from index 0 on; received {wanted.images}, {wanted.index}")
    if from_config:
        config = load_config(target, overrides)
        data = load_and_tell(config.data, config.seed, warn)
        config = resolve_loss(config, data)
        pictures, shape = _pictures(wanted, config, data, None), Shape(*data.train.images.shape[1:])
        subject = _Subject(
            str(target),
            "initial weights",
            config,
            shape,
            tuple(data.class_names),
            None,
            None,
            0,
            len(data.train),
            {},
            (),
            data.train,
        )
        return _example(subject, pictures, data.normalization, wanted, warn)
    path = _checkpoint_in(target)
    restored = restore(path, batch_size=wanted.images, overrides=overrides)
    if restored.not_finite:
        warn(f"{path}: NaN or infinity in {', '.join(restored.not_finite)}")
    found = None
    if wanted.file is None:
        found = load_and_tell(restored.config.data, restored.config.seed, warn)
        check_fit(restored, found)
    pictures = _pictures(wanted, restored.config, found, restored)
    normalization = normalization_for(restored, pictures.stored.dtype)
    return _example(_trained(path, restored), pictures, normalization, wanted, warn)


def _checkpoint_in(target: Path) -> Path:
    """Return the file: of a run folder the last checkpoint, which has the optimiser's state."""
    last = RunFolder(target).last
    return last if target.is_dir() and last.is_file() else find_checkpoint(target)


def _pictures(wanted: Wanted, config: Config, data: DataSet | None, restored: Restored | None) -> Pictures:
    if wanted.file is None:
        assert data is not None  # loaded for this; for mypy
        return of_split(data.split(wanted.split), wanted)
    if restored is not None:
        return of_file(wanted.file, restored.metadata.input_shape, config.data)
    assert data is not None
    if data.train.images.dtype != np.uint8:
        raise ArgumentError(
            f"{wanted.file}: the network of this config takes float images, whose scale a file's bytes do not have: "
            "use --index"
        )
    return of_file(wanted.file, data.train.images.shape[1:], config.data)


def _trained(path: Path, restored: Restored) -> _Subject:
    """A checkpoint's network: where its optimiser's state is there, with the weights that the training goes on with."""
    checkpoint = read_checkpoint(path)
    metadata, progress = checkpoint.metadata, checkpoint.metadata.progress
    resumable = bool(checkpoint.optimizer)
    notes = () if resumable else (f"{path.name} holds no state of the optimiser: its step begins anew",)
    return _Subject(
        name=str(path),
        origin=f"after epoch {progress.epoch} (step {progress.step:,})",
        config=restored.config,
        shape=Shape(*metadata.input_shape),
        class_names=metadata.class_names,
        tensors=checkpoint.network if resumable else restored.network.state(),
        optimizer=checkpoint.optimizer if resumable else None,
        steps=progress.step,
        epoch_images=metadata.images.get("train", 1),
        schedule=dict(progress.schedule),
        notes=notes,
    )


def _example(
    subject: _Subject, pictures: Pictures, normalization: Normalization, wanted: Wanted, warn: Callable[[str], None]
) -> Example:
    config, count = subject.config, len(pictures.stored)
    rows = infer_shapes(config, subject.shape, len(subject.class_names))
    network = Network(
        rows, batch_size=count, loss=config.loss, dtype=np.float64, seed=config.seed, needs_grad_input=True,
        fusions=False, direct=config.train.direct,
    )  # fmt: skip
    optimizer = OPTIMIZERS[config.optimizer.name](config.optimizer.settings, network.parameters)
    begun: list[str] = []
    optimizer.follow(_course(subject, network))
    if subject.tensors is None:
        if subject.train is not None:
            whiten(config, network, subject.train, normalization)
        start_from(config, network, subject.class_names, begun.append, warn)
    try:
        if subject.tensors is not None:
            network.load_state(subject.tensors)
        if subject.optimizer is not None:
            optimizer.load_state(subject.optimizer)
    except CheckpointError as error:
        raise CheckpointError(f"{subject.name}: {error}") from error
    images = np.ascontiguousarray(normalization.apply(pictures.stored, np.float64))
    labels, said = _labels(network, images, pictures, wanted.label, subject.class_names)
    step, rate, past = _step(subject)
    notes = [*subject.notes, *begun, *said, *past, *_of_batch_norm(rows, count)]
    differing = [name for name in ("dropout", "batch_norm2d") if any(row.name == name for row in _leaves(rows))]
    if differing:
        notes.append(f"{' and '.join(differing)} as in training: what the network says may differ from `eval`'s answer")
    if config.data.augment:
        notes.append("the images are shown as they are stored: data.augment is left out")
    if config.test_time is not None:
        notes.append("each image is shown once, as in training: `eval` averages over the views of test_time")
    return Example(
        subject.name, subject.origin, config, network, pictures.stored, images, labels, subject.class_names,
        pictures.title, normalization, optimizer, rate, step, tuple(notes),
    )  # fmt: skip


def _labels(
    network: Network, images: NDArray[np.float64], pictures: Pictures, label: str | None, names: Sequence[str]
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the labels and what is to be said of them."""
    if label is not None:
        number = label_of(label, names)
        note = [] if pictures.labels is None else ["the label is the one given, in the place of the data's"]
        return np.full(len(images), number, np.int64), note
    if pictures.labels is not None:
        return pictures.labels, []
    network.load(images, np.arange(len(images), dtype=np.int64), AsTheyAre(images.shape[1]))
    network.forward()
    predicted = network.logits().argmax(axis=1).astype(np.int64)
    return predicted, ["the label is what the network takes the image for, as nobody said (--label names it)"]


def _course(subject: _Subject, network: Network) -> Course:
    """Return what the optimiser must know of the training."""
    config, schedule = subject.config, subject.config.schedule
    per_epoch = config.train.steps_per_epoch(subject.epoch_images)
    total = config.train.steps or (config.train.epochs or 0) * per_epoch
    return Course(
        per_epoch, total, network.statistics,
        lambda steps: schedule.registered(schedule.settings, steps, per_epoch).factor,
    )  # fmt: skip


def _step(subject: _Subject) -> tuple[int, float, list[str]]:
    """Return the 0-based number of the next step and its learning rate; after the last, that of the last."""
    config = subject.config
    per_epoch = config.train.steps_per_epoch(subject.epoch_images)
    total = config.train.steps or (config.train.epochs or 0) * per_epoch
    schedule = SCHEDULES[config.schedule.name](config.schedule.settings, total, per_epoch)
    if subject.schedule:
        schedule.load_state(subject.schedule)
    past = subject.steps >= total
    step = total - 1 if past else subject.steps
    notes = [f"the training is over: the step shown has the learning rate of the last, step {step:,}"] if past else []
    try:
        rate = config.optimizer.settings.learning_rate * schedule.factor(step)
    except OverflowError:
        rate = math.inf
    return step, rate, notes


def _of_batch_norm(rows: Sequence[LayerRow], count: int) -> list[str]:
    """Say where batch norm has a single value per channel."""
    flat = [
        row.path
        for row in _leaves(rows)
        if row.name == "batch_norm2d" and count * row.input_shape.rows * row.input_shape.columns == 1
    ]
    if not flat:
        return []
    return [f"{', '.join(flat)}: one value per channel has no spread, the output is the shift alone: try --images 16"]


def _leaves(rows: Sequence[LayerRow]) -> list[LayerRow]:
    inside = [row for row in rows for part in row.parts for row in _leaves(part.rows)]
    return [*rows, *inside]
