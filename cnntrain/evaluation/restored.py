"""A network back from a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnntrain.config import Config, infer_shapes, parse_config
from cnntrain.data import Normalization
from cnntrain.errors import ArgumentError, CheckpointError, ConfigError
from cnntrain.evaluation.class_weights import has_words, with_known_weights
from cnntrain.network import Network
from cnntrain.runs.checkpoint import Checkpoint, Metadata, Tensors, check_tensors, not_finite, read_checkpoint
from cnntrain.shape import Shape


@dataclass(frozen=True)
class Restored:
    """A trained network with what it was trained with.

    Attributes
    ----------
    path : Path
        The checkpoint file.
    not_finite : list of str
        Tensors that hold NaN or infinity; such a network is of no use, but one may want to look at it.
    mean_image : ndarray (C, H, W) or None
        float32, if the images' mean is subtracted.
    """

    path: Path
    config: Config
    metadata: Metadata
    network: Network
    not_finite: list[str]
    mean_image: NDArray[np.float32] | None = None


def restore(path: Path, *, batch_size: int, overrides: Sequence[str] = (), config: Config | None = None) -> Restored:
    """Rebuild the network of a checkpoint file.

    Parameters
    ----------
    path : Path
        The file.
    batch_size : int
        The most images that the network shall take at a time.
    overrides : sequence of str
        Changes to the checkpoint's config, as `--set` takes them.
    config : Config or None
        A config to use instead of the checkpoint's own; its network must fit the tensors.

    Raises
    ------
    CheckpointError
        The file is damaged, or its tensors do not fit the network.
    ConfigError
        An override is wrong.
    """
    checkpoint = read_checkpoint(path)
    metadata = checkpoint.metadata
    whose = "the network of its own config" if config is None else "the network of the given config"
    if config is None:
        config = config_of(path, metadata, overrides)
    elif has_words(config):
        config = with_known_weights(config, config_of(path, metadata))
    network = _network(path, config, checkpoint, batch_size, whose)
    return Restored(path, config, metadata, network, not_finite(checkpoint.weights_to_use), checkpoint.mean_image)


def config_of(path: Path, metadata: Metadata, overrides: Sequence[str] = ()) -> Config:
    """Read the config inside a checkpoint; raises `CheckpointError` if it is wrong, `ConfigError` for an override."""
    where = f"{path} (its config)"
    try:
        config = parse_config(metadata.config, where)
    except ConfigError as error:
        raise CheckpointError(f"{path}: its config is wrong:\n{error}") from error
    return parse_config(metadata.config, where, overrides) if overrides else config


def normalization_for(restored: Restored, image_type: np.dtype) -> Normalization:
    """Return the preprocessing that the network was trained with, for images of a type.

    A network trained on bytes also takes floats, on the scale 0..1. One trained on floats takes floats alone: what
    scale bytes would have there, nobody can know.

    Raises
    ------
    ArgumentError
        Bytes for a network that was trained on floats.
    """
    metadata = restored.metadata
    values = metadata.normalization
    unit = values.unit
    if metadata.image_type == "uint8" and image_type.kind == "f":
        unit = unit / 255
    elif metadata.image_type == "float32" and image_type.kind != "f":
        raise ArgumentError(
            f"{restored.path}: the network was trained on float images: convert these ({image_type}) to float32, "
            "on the scale that the training images had"
        )
    mean = np.array(values.mean, np.float32) if restored.mean_image is None else restored.mean_image
    return Normalization(mean, np.array(values.std, np.float32), unit)


def load_network(path: Path, network: Network, tensors: Tensors, whose: str) -> None:
    """Give a network the tensors of a file; raises `CheckpointError` with every difference."""
    check_tensors(path, tensors, network.state(), whose)
    network.load_state(tensors)


def _network(path: Path, config: Config, checkpoint: Checkpoint, batch_size: int, whose: str) -> Network:
    metadata = checkpoint.metadata
    try:
        rows = infer_shapes(config, Shape(*metadata.input_shape), len(metadata.class_names))
    except ConfigError as error:
        raise CheckpointError(f"{path}: {whose} does not fit its images and classes:\n{error}") from error
    # Before any memory is taken: a hostile config could ask for more than the machine has.
    learned = sum(row.parameters for row in rows)
    held = sum(value.size for value in checkpoint.network.values())
    if learned > held:
        raise CheckpointError(f"{path}: does not fit {whose}: it holds {held:,} numbers, {learned:,} are needed")
    network = Network(rows, batch_size=batch_size, loss=config.loss, seed=config.seed, direct=config.train.direct)
    load_network(path, network, checkpoint.weights_to_use, whose)
    return network
