"""Compiling the kernels of a network, or loading them from the cache, before anything is measured or trained.

Two processes can share the work: one begins with the first layer and the loss and then goes from the last layer to the
second (`warm_up`), the other from the second to the last (`help_warm_up`). They meet half-way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.compiler.rehearsal import rehearse
from cnntrain.layers import Batch
from cnntrain.memory import line_aligned
from cnntrain.network import Network
from cnntrain.passes.workspace import workspace
from cnntrain.shape import LANES


class _Blank:
    """A normalisation that makes every image zero."""

    def __init__(self, channels: int, dtype: np.dtype) -> None:
        self._zeros = np.zeros(channels, dtype)

    def affine(self) -> tuple[NDArray[Any], NDArray[Any]]:
        return self._zeros, self._zeros


def needed(act: Callable[[], None]) -> list[str] | None:
    """Return what `rehearse` does for an act of other networks, in the middle of whatever goes on here."""
    with workspace.apart():
        return rehearse(act)


def warm_up(network: Network, image_type: Any = np.uint8) -> None:
    """Compile or load from the cache every kernel that training and evaluation need, changing no parameter.

    The input and the first layer, the loss, then the layers from the last to the second, each both ways; at last whole
    passes, for what only they need.

    Parameters
    ----------
    network : Network
        Its state and gradients are as before afterwards; a blank image is loaded.
    image_type : dtype
        Of the images that will be loaded.
    """
    gradients = [parameter.gradient.copy() for parameter in network.parameters]
    statistics = [statistic.value.copy() for statistic in network.statistics]
    one, label = np.zeros(1, np.int64), np.zeros(1, np.int64)
    images = np.zeros((1, *network.input_shape), image_type)
    network.load(images, one, _Blank(network.input_shape.channels, network.dtype))
    network.logits()
    if network.has_loss:
        _run_layers(network, [0])
        network.loss(label)
        _run_layers(network, range(len(network.body.layers) - 1, 0, -1))
    network.forward()
    network.forward(training=True)
    if network.has_loss:
        network.loss(label)
        network.backward()
    for parameter, gradient in zip(network.parameters, gradients, strict=True):
        parameter.gradient[...] = gradient
    for statistic, value in zip(network.statistics, statistics, strict=True):
        statistic.value[...] = value


def warm_up_few_images(network: Network, image_type: Any = np.uint8) -> None:
    """Compile or load what `Network.predict_logits` computes few images with, if the network's layers allow it."""
    images = np.zeros((1, *network.input_shape), image_type)
    network.predict_logits(images, _Blank(network.input_shape.channels, network.dtype))


def help_warm_up(network: Network) -> None:
    """Compile each layer's kernels, from the second to the last, then the loss.

    For a process that does nothing else, with a network on which nothing has run yet; what it holds afterwards is of no
    use.
    """
    _run_layers(network, range(1, len(network.body.layers)))
    network.loss(np.zeros(1, np.int64))


def _run_layers(network: Network, order: Iterable[int]) -> None:
    """Run the layers of these numbers, each forward and backward."""
    rows, room = network.body.rows, network.blocks * LANES
    # two arrays for all layers: of what one block does not touch, none takes memory
    most = max(max(row.input_shape.size, row.output_shape.size) for row in rows)
    x, delta = (line_aligned(room * most, network.dtype) for _ in range(2))
    batch = Batch(1, training=True)
    for index in order:
        layer, row = network.body.layers[index], rows[index]
        layer.forward(x[: room * row.input_shape.size], batch)
        layer.backward(delta[: room * row.output_shape.size], batch)
