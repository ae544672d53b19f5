"""Our side of the comparison: whole training steps, the loading and normalising of the batch included."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import protocol


class ByteScale:
    """Bytes to about -1 ... 1."""

    def __init__(self, channels: int) -> None:
        self._affine = np.full(channels, 2 / 255, np.float32), np.full(channels, -1, np.float32)

    def affine(self) -> tuple[Any, Any]:
        """Return (scale, shift)."""
        return self._affine


def build(plan: dict[str, Any]) -> tuple[dict[str, Any], Callable[[float], dict[str, float]]]:
    """Build the network of the plan's config; number of threads: NUMBA_NUM_THREADS."""
    import numba
    from numba.np.ufunc.parallel import threading_layer

    from cnntrain.config import infer_shapes, load_config
    from cnntrain.layers.base import Shape
    from cnntrain.network import Network
    from cnntrain.optimizers import OPTIMIZERS

    config, batch_size = load_config(plan["config"]), plan["batch_size"]
    rows = infer_shapes(config, Shape(*plan["image"]), plan["classes"])
    network = Network(rows, batch_size=batch_size, loss=config.loss)
    optimizer = OPTIMIZERS[config.optimizer.name](config.optimizer.settings, network.parameters)
    images, labels = protocol.synthetic(plan)
    normalization = ByteScale(plan["image"][0])
    order = np.random.default_rng(2).permutation(len(images))
    batches = order[: len(order) // batch_size * batch_size].reshape(-1, batch_size)

    def step(number: int) -> None:
        indices = batches[number % len(batches)]
        network.load(images, indices, normalization)
        network.forward(training=True)
        network.loss(labels[indices])
        network.backward()
        optimizer.step(protocol.LEARNING_RATE)

    protocol.images_per_second(step, batch_size, 0.2)  # compile, touch all memory
    description = {
        "version": f"numba {numba.__version__}",
        "parameters": sum(parameter.value.size for parameter in network.parameters),
        "threads": numba.get_num_threads(),
        "threading_layer": threading_layer(),
        "cpus": len(os.sched_getaffinity(0)),
    }
    return description, lambda seconds: protocol.images_per_second(step, batch_size, seconds)


if __name__ == "__main__":
    protocol.serve(build)
