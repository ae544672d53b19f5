"""The network of a config with its optimiser, on images made up: speed does not depend on what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.augmentations.pipeline import Augmenter
from cnntrain.config import Config, infer_shapes, load_config
from cnntrain.data.dataset import describe_or_recall
from cnntrain.machine import FEW
from cnntrain.network import Network
from cnntrain.optimizers import OPTIMIZERS, Optimizer
from cnntrain.shape import Shape
from cnntrain.warm_up import warm_up

BATCHES = 4  # different ones, so that not everything is found in the cache
LEARNING_RATE = 1e-4  # random labels are not to be learnt by heart


class ByteScale:
    """Bytes to -1 ... 1."""

    def __init__(self, channels: int) -> None:
        self._affine = np.full(channels, 2 / 255, np.float32), np.full(channels, -1, np.float32)

    def affine(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return (scale, shift)."""
        return self._affine


@dataclass
class Subject:
    """What is measured: whole steps on batches of random images.

    Attributes
    ----------
    config : Config
    network : Network
    optimizer : Optimizer
    """

    config: Config
    network: Network
    optimizer: Optimizer

    def __post_init__(self) -> None:
        random, size, shape = np.random.default_rng(1), self.network.batch_size, self.network.input_shape
        self._images = random.integers(0, 256, (BATCHES * size, *shape), dtype=np.uint8)
        self._labels = random.integers(0, self.network.output_shape.size, BATCHES * size)
        self._batches = random.permutation(BATCHES * size).reshape(BATCHES, size)
        self._normalization = ByteScale(shape.channels)
        self._step = 0

    def train(self) -> None:
        """Make a whole training step: load and normalise a batch, forward, loss, backward, update."""
        indices = self._load()
        self.network.forward(training=True, step=self._step)
        self.network.loss(self._labels[indices])
        self.network.backward()
        self.optimizer.step(LEARNING_RATE)

    def evaluate(self) -> None:
        """Load and normalise a batch, forward, and take the logits out."""
        self._load()
        self.network.forward()
        self.network.logits()

    def warm_up(self, image_types: Sequence[Any] = (np.uint8,)) -> None:
        """Compile or load every kernel, for images of the given types."""
        augment, shape = self.config.data.augment, self.network.input_shape
        if augment:  # augmented images reach the network as float32
            for image_type in image_types:
                images = np.zeros((1, *shape), image_type)
                Augmenter(augment, images, self.config.seed, batch_size=1).warm_up(image_type)
            image_types = [*image_types, *([] if np.float32 in image_types else [np.float32])]
        for image_type in image_types:
            warm_up(self.network, image_type)
        self.optimizer.warm_up()

    def _load(self) -> NDArray[np.int64]:
        indices = self._batches[self._step % BATCHES]
        self._step += 1
        self.network.load(self._images, indices, self._normalization)
        return indices


def subject_of_config(
    path: Path, overrides: Sequence[str] = (), image: Shape | None = None, classes: int | None = None
) -> Subject:
    """Build the network and optimiser of a config.

    Parameters
    ----------
    path : Path
        The config file.
    overrides : sequence of str
        `--set` arguments.
    image : Shape or None
        Shape of the images; None takes that of the data. The data are looked at only where something is missing, and
        need not be there for MNIST and the like.
    classes : int or None
        None takes the data's number.

    Raises
    ------
    ConfigError
        The config is wrong, or its layers do not fit.
    DataError
        The data are needed and cannot be described.
    """
    config = load_config(path, overrides)
    if image is None or classes is None:
        found, number, _ = describe_or_recall(config.data)
        image, classes = image or found, classes or number
    rows = infer_shapes(config, image, classes)
    train = config.train
    network = Network(
        rows,
        batch_size=train.images_at_once,
        loss=config.loss,
        seed=config.seed,
        direct=train.direct,
        few=train.images_at_once <= FEW,
    )
    optimizer = OPTIMIZERS[config.optimizer.name](config.optimizer.settings, network.parameters)
    return Subject(config, network, optimizer)
