"""Small networks in float64, ready to be checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import TypeAdapter

from cnntrain.config import Config
from cnntrain.config.shapes import walk_shapes
from cnntrain.losses import LOSSES
from cnntrain.network import Network
from cnntrain.settings import Choice
from cnntrain.shape import Shape
from cnntrain.verify import TensorCheck, check_gradients

CLASSES = 4
LAYERS = TypeAdapter(Config.model_fields["network"].rebuild_annotation())


def build(
    layers: str,
    shape: tuple[int, int, int] = (2, 6, 7),
    *,
    loss: str = "cross_entropy",
    batch_size: int = 20,
    **settings: Any,
) -> Network:
    """Build a network from a YAML list of layers; a dense layer for the classes is added."""
    choices = LAYERS.validate_python([*yaml.safe_load(layers), {"dense": "classes"}])
    rows = walk_shapes(choices, Shape(*shape), CLASSES)
    choice = Choice(loss, LOSSES[loss].Settings(), LOSSES[loss])
    settings = {"dtype": np.float64, "needs_grad_input": True, **settings}
    network = Network(rows, batch_size=batch_size, loss=choice, **settings)
    generator = np.random.default_rng(2)
    for parameter in network.parameters:  # biases too: nothing shall be right because it is zero
        parameter.value += 0.1 * generator.standard_normal(parameter.value.shape)
    return network


def batch(network: Network, images: int = 18) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return images and labels that fit."""
    generator = np.random.default_rng(3)
    return generator.standard_normal((images, *network.input_shape)), generator.integers(0, CLASSES, images)


def check(network: Network, images: int = 18, **settings: Any) -> dict[str, TensorCheck]:
    """Check on a random batch."""
    checks = check_gradients(network, *batch(network, images), **settings)
    return {found.name: found for found in checks}


def verdicts(checks: dict[str, TensorCheck]) -> dict[str, str]:
    return {name: found.verdict for name, found in checks.items()}


def wrong(checks: dict[str, TensorCheck]) -> set[str]:
    return {name for name, found in checks.items() if found.verdict == "WRONG"}
