"""From a config to the things that train: data, network, optimiser, schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import yaml

from cnntrain.augmentations.pipeline import Augmenter
from cnntrain.config import Config, infer_shapes, resolved_yaml
from cnntrain.config.flat import flat
from cnntrain.data import DataSet, Normalization
from cnntrain.data.terminal import load_and_tell
from cnntrain.errors import ArgumentError, ConfigError
from cnntrain.evaluation.class_weights import resolve_loss
from cnntrain.evaluation.whiten import whiten
from cnntrain.machine import FEW
from cnntrain.network import Network
from cnntrain.optimizers import OPTIMIZERS, Course, Optimizer
from cnntrain.processes.agreement import agree, digest_of
from cnntrain.processes.team import ALONE, Team
from cnntrain.runs.checkpoint import Checkpoint, Metadata, NormalizationValues, digest
from cnntrain.runs.environment import computing_with
from cnntrain.runs.logs import check_logs
from cnntrain.runs.progress import Inside, Progress
from cnntrain.schedules import SCHEDULES, Schedule
from cnntrain.shape import Shape
from cnntrain.training.early_stopping import EarlyStopping, early_stopping_of
from cnntrain.training.feed import Feed


@dataclass(frozen=True)
class Training:
    """Everything that one training consists of.

    Attributes
    ----------
    batch_size : int
        Images per step: the config's, or all of a smaller training split.
    steps_per_epoch, total_steps : int
        The last step of an epoch may see fewer images, unless `train.drop_last` leaves that out; with `train.steps` the
        last epoch may be cut short.
    """

    config: Config
    data: DataSet
    feed: Feed
    network: Network
    optimizer: Optimizer
    schedule: Schedule
    learning_rate: float
    batch_size: int
    steps_per_epoch: int
    total_steps: int
    stopping: EarlyStopping

    @property
    def epochs(self) -> int:
        """Epochs that the training touches."""
        return -(-self.total_steps // self.steps_per_epoch)

    @property
    def images_per_epoch(self) -> int:
        """Images that an epoch trains on."""
        return min(len(self.data.train), self.steps_per_epoch * self.batch_size)

    @property
    def split_sizes(self) -> dict[str, int]:
        """Images per split."""
        validation = self.data.validation
        sizes = {"train": len(self.data.train), "test": len(self.data.test)}
        return sizes if validation is None else sizes | {"validation": len(validation)}

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a 0-based step."""
        return rate_at(self.learning_rate, self.schedule, step)

    def checkpoint(
        self, progress: Progress, before: Checkpoint | None = None, inside: Inside | None = None
    ) -> Checkpoint:
        """Gather what a checkpoint holds from which a run goes on.

        `before` is the best checkpoint before an epoch that was cut short and is better. `inside` marks one that is
        made inside an epoch.
        """
        metadata = self.metadata(progress, None if before is None else before.metadata.progress, inside)
        mean = self.data.normalization.mean
        mean_image = mean if mean.ndim == 3 else None
        network, optimizer = dict(self.network.state()), dict(self.optimizer.state())
        return Checkpoint(metadata, network, optimizer, mean_image, {} if before is None else before.network)

    def metadata(
        self, progress: Progress, best_before: Progress | None = None, inside: Inside | None = None
    ) -> Metadata:
        """Return what a checkpoint says besides its tensors."""
        return Metadata(
            config=resolved_yaml(self.config),
            class_names=tuple(self.data.class_names),
            input_shape=tuple(self.data.train.images.shape[1:]),
            image_type="uint8" if self.data.train.images.dtype == np.uint8 else "float32",
            normalization=normalization_values(self.data.normalization),
            images=self.split_sizes,
            progress=progress,
            best_before=best_before,
            inside=inside,
        )


def build_training(config: Config, warn: Callable[[str], None], team: Team = ALONE) -> Training:
    """Load the data and build everything that the config names.

    Raises
    ------
    DataError, ConfigError
    ArgumentError
        The processes are more than `train.shards`, or do not have the same things to compute with.
    """
    check_logs(config)
    if team.size > config.train.shards:
        raise ArgumentError(
            f"{team.size} processes, and train.shards: {config.train.shards}: a process needs a shard of each batch. "
            f"--set train.shards={team.size} or more (a network's numbers follow from it, not from the processes), or "
            "start fewer processes"
        )
    data = team.first_on_machine(lambda: load_and_tell(config.data, config.seed, warn))
    if team.size > 1:
        agree(team, facts_of(config, data))
    stopping = early_stopping_of(config, data.validation is not None)
    config = resolve_loss(config, data)
    images = len(data.train)
    batch_size = min(config.train.batch_size, images)
    steps_per_epoch = config.train.steps_per_epoch(images)
    schedule, total_steps = schedule_of(config, steps_per_epoch)
    most = -(-batch_size // config.train.shards)  # images that pass through the network at once
    shape = Shape(*data.train.images.shape[1:])
    network, optimizer = network_and_optimizer(config, shape, len(data.class_names), most)
    whiten(config, network, data.train, data.normalization)
    optimizer.follow(course_of(config, network, steps_per_epoch, total_steps))
    return Training(
        config=config,
        data=data,
        feed=Feed(data.train, augmenter_of(config, data, most)),
        network=network,
        optimizer=optimizer,
        schedule=schedule,
        learning_rate=config.optimizer.settings.learning_rate,
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        stopping=stopping,
    )


def facts_of(config: Config, data: DataSet) -> dict[str, str]:
    """Return what several processes must have in common, in words or as digests."""
    facts = computing_with()
    facts |= {f"config, {key}": str(value) for key, value in flat(yaml.safe_load(resolved_yaml(config))).items()}
    splits = {"training": data.train, "validation": data.validation}
    facts |= {
        f"{name} images (digest)": digest_of(split.images, split.labels)
        for name, split in splits.items()
        if split is not None
    }
    return facts | {"classes": ", ".join(data.class_names), "mean of the images": repr(data.normalization)}


def augmenter_of(config: Config, data: DataSet, batch_size: int) -> Augmenter | None:
    """Return what augments the training images; None if nothing does. Raises `ConfigError`."""
    if not config.data.augment:
        return None
    return Augmenter(config.data.augment, data.train.images, config.seed, batch_size)


def schedule_of(config: Config, steps_per_epoch: int) -> tuple[Schedule, int]:
    """Return the config's schedule, and the number of steps that it runs over."""
    total_steps = config.train.steps or (config.train.epochs or 0) * steps_per_epoch
    return SCHEDULES[config.schedule.name](config.schedule.settings, total_steps, steps_per_epoch), total_steps


def course_of(config: Config, network: Network, steps_per_epoch: int, total_steps: int) -> Course:
    """Return what the optimiser must know of the training; raises `ConfigError` where the schedule does not fit."""
    schedule = config.schedule
    whole = [each.name for each in network.parameters if each.epochs is not None and each.whole_schedule]
    if whole and schedule.registered.observe is not Schedule.observe:
        raise ConfigError(
            f"{whole[0]}: epochs_schedule: whole does not go with the schedule {schedule.name}, which follows from "
            "what the epochs reach; try cut"
        )

    def factor_over(steps: int) -> Callable[[int], float]:
        return schedule.registered(schedule.settings, steps, steps_per_epoch).factor

    return Course(steps_per_epoch, total_steps, network.statistics, factor_over)


def rate_at(learning_rate: float, schedule: Schedule, step: int) -> float:
    """Return the learning rate of a 0-based step; infinity where the factor is too large for a number."""
    try:
        return learning_rate * schedule.factor(step)
    except OverflowError:
        return math.inf


def build_network(config: Config, input_shape: Shape, classes: int, batch_size: int) -> Network:
    """Build the config's network for images of a shape; raises `ConfigError` if the layers do not fit."""
    rows = infer_shapes(config, input_shape, classes)
    return Network(
        rows,
        batch_size=batch_size,
        loss=config.loss,
        seed=config.seed,
        direct=config.train.direct,
        few=batch_size <= FEW,
    )


def network_and_optimizer(
    config: Config, input_shape: Shape, classes: int, batch_size: int
) -> tuple[Network, Optimizer]:
    """Build the config's network as `build_network` does, and its optimiser."""
    network = build_network(config, input_shape, classes, batch_size)
    return network, OPTIMIZERS[config.optimizer.name](config.optimizer.settings, network.parameters)


def normalization_values(normalization: Normalization) -> NormalizationValues:
    """Return a normalisation as a checkpoint holds it; float32 values survive the way through text exactly."""
    mean, is_image = normalization.mean, normalization.mean.ndim == 3
    return NormalizationValues(
        mean=tuple(map(float, mean.mean(axis=(1, 2), dtype=np.float64) if is_image else mean)),
        std=tuple(map(float, normalization.std)),
        unit=float(normalization.unit),
        mean_image=digest(mean) if is_image else None,
    )
