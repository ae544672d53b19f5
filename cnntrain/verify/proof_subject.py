"""What is proven: the planned layers of a config, or of a run's config, with batch size, loss and optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnntrain.config import Config, infer_shapes, load_config
from cnntrain.data.dataset import describe_or_recall
from cnntrain.evaluation.restored import config_of
from cnntrain.layers import LayerRow
from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.shape import Shape


@dataclass(frozen=True)
class Subject:
    """A planned network.

    Attributes
    ----------
    name : str
        The config's file or the checkpoint's.
    config : Config
    rows : list of LayerRow
    """

    name: str
    config: Config
    rows: list[LayerRow]


def subject_of_config(path: Path, overrides: Sequence[str], image: Shape | None, classes: int | None) -> Subject:
    """Plan the network of a config.

    Parameters
    ----------
    path : Path
        The config file.
    overrides : sequence of str
        `--set` arguments.
    image : Shape or None
        Shape of the images; None takes that of the data, which need not be there for MNIST and the like.
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
    return Subject(str(path), config, infer_shapes(config, image, classes))


def subject_of_checkpoint(
    path: Path, overrides: Sequence[str], image: Shape | None = None, classes: int | None = None
) -> Subject:
    """Plan the network of a checkpoint's config: the numbers that it has learned are not what a proof is about.

    Parameters
    ----------
    path : Path
        The checkpoint.
    overrides : sequence of str
        `--set` arguments.
    image : Shape or None
        None takes that of the checkpoint.
    classes : int or None
        None takes the checkpoint's number.

    Raises
    ------
    CheckpointError
        The file is damaged.
    ConfigError
        An override is wrong.
    """
    metadata = read_checkpoint(path).metadata
    config = config_of(path, metadata, overrides)
    image = image or Shape(*metadata.input_shape)
    return Subject(str(path), config, infer_shapes(config, image, classes or len(metadata.class_names)))
