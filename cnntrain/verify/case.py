"""What is checked: a network in float64 and images of its own data, from a config or from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnntrain.config import Config, infer_shapes, load_config
from cnntrain.data import DataSet, Normalization
from cnntrain.data.terminal import load_and_tell
from cnntrain.evaluation.assessment import check_fit
from cnntrain.evaluation.class_weights import resolve_loss
from cnntrain.evaluation.restored import normalization_for, restore
from cnntrain.evaluation.start_from import start_from
from cnntrain.network import Network
from cnntrain.randomness import generator
from cnntrain.shape import Shape


@dataclass(frozen=True)
class Case:
    """A network with images; what `check_gradients` takes.

    Attributes
    ----------
    name : str
        The config's file or the checkpoint's, for the report.
    network : Network
        float64; the initial values of the config, or the values of the checkpoint.
    images : ndarray, float64, (N, channels, rows, columns)
        Normalised, drawn at random from the training split.
    labels : ndarray, int64, (N,)
    """

    name: str
    network: Network
    images: NDArray[np.float64]
    labels: NDArray[np.int64]


def case_of_config(path: Path, overrides: Sequence[str], images: int, seed: int, warn: Callable[[str], None]) -> Case:
    """Build the network that a training would begin with.

    Parameters
    ----------
    path : Path
        The config file.
    overrides : sequence of str
        `--set` arguments.
    images : int
        How many images; fewer if the training split has fewer.
    seed : int
        Of the choice of images.
    warn : callable
        Called with a text that the user should see.

    Raises
    ------
    ConfigError, DataError
        The config or the data are wrong.
    """
    config = load_config(path, overrides)
    data = load_and_tell(config.data, config.seed, warn)
    case = _case(str(path), config, data, data.normalization, images, seed)
    start_from(config, case.network, data.class_names, lambda text: None, warn)
    return case


def case_of_checkpoint(
    path: Path, overrides: Sequence[str], images: int, seed: int, warn: Callable[[str], None]
) -> Case:
    """Restore a trained network, on the data of its config; parameters as for `case_of_config`.

    Raises
    ------
    CheckpointError
        The file is damaged, or does not fit the data.
    ConfigError, DataError
        An override or the data are wrong.
    """
    restored = restore(path, batch_size=1, overrides=overrides)
    if restored.not_finite:
        warn(f"{path}: NaN or infinity in {', '.join(restored.not_finite)}")
    data = load_and_tell(restored.config.data, restored.config.seed, warn)
    check_fit(restored, data)
    normalization = normalization_for(restored, data.train.images.dtype)
    case = _case(str(path), restored.config, data, normalization, images, seed)
    case.network.load_state(restored.network.state())
    return case


def _case(name: str, config: Config, data: DataSet, normalization: Normalization, images: int, seed: int) -> Case:
    split, config = data.train, resolve_loss(config, data)
    count = min(images, len(split))
    chosen = np.sort(generator(seed, "gradient check", 0).choice(len(split), count, replace=False))
    rows = infer_shapes(config, Shape(*split.images.shape[1:]), len(data.class_names))
    network = Network(
        rows, batch_size=count, loss=config.loss, dtype=np.float64, seed=config.seed, needs_grad_input=True,
        direct=config.train.direct,
    )  # fmt: skip
    return Case(name, network, normalization.apply(split.images[chosen], np.float64), split.labels[chosen])
