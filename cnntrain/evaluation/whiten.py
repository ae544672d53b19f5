"""First layers whose filters come from the training images (`weight_init: whitening`)."""

from __future__ import annotations

import numpy as np

from cnntrain.config import Config
from cnntrain.data import Normalization, Split
from cnntrain.network import Network


def whiten(config: Config, network: Network, train: Split, normalization: Normalization) -> None:
    """Give the first layer the filters that its initialiser computes from images; others stay as they are.

    The images are spread evenly over the split, so that they are of all classes where it is sorted by class.

    Parameters
    ----------
    config : Config
        Of the network; `infer_shapes` has found it right.
    network : Network
        As its initialisers made it.
    train : Split
    normalization : Normalization
    """
    first = config.network[0]
    init = getattr(first.settings, "weight_init", None)
    if init is None or not init.registered.needs_images:
        return
    count = min(init.settings.images, len(train))
    numbers = np.arange(count, dtype=np.int64) * len(train) // count
    images = normalization.apply(train.images[numbers], np.float32)
    (weight,) = (parameter for parameter in network.parameters if parameter.name == f"0.{first.name}.weight")
    values = init.registered(init.settings).values_of(images, weight.value.shape)
    if first.settings.mode == "convolution":
        values = values[..., ::-1, ::-1]
    weight.assign(weight.value, np.ascontiguousarray(values, weight.value.dtype))
    network.changes.count += 1
