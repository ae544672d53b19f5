"""How quickly images reach training, by `data.storage`: decoded alone, trained alone, and trained while decoding.

    python benchmarks/image_rate.py CONFIG [KEY=VALUE ...]      (a config with `source: folder`)

The parts take turns, a few batches each, so that other work on the machine hits all of them alike; medians are printed.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnntrain.config import Config, load_config
from cnntrain.data import batches
from cnntrain.data.prefetch import bring
from cnntrain.training.feed import Batch
from cnntrain.training.setup import Training, build_training
from cnntrain.warm_up import warm_up

ROUNDS, BATCHES = 8, 8


def step(training: Training, batch: Batch) -> None:
    """Train on one batch."""
    network = training.network
    network.load(batch.images, batch.rows, training.data.normalization)
    network.forward(training=True)
    network.loss(batch.labels, batch.mixture)
    network.backward()
    training.optimizer.step(0.0)


def some(training: Training, turn: int) -> Iterator[NDArray[np.int64]]:
    """Give the batches of one turn."""
    order = batches(len(training.data.train), training.batch_size, np.random.default_rng(turn))
    return islice(order, BATCHES)


def rates(training: Training) -> dict[str, float]:
    """Images per second of each part."""
    held = Batch(*next((images[rows].copy(), np.arange(len(chosen)), training.data.train.labels[chosen])
                       for chosen, images, rows in bring(training.data.train.images, some(training, 0))))  # fmt: skip
    seconds: dict[str, list[float]] = {"images alone": [], "training alone": [], "training with its images": []}
    for turn in range(ROUNDS):
        began = time.perf_counter()
        for chosen, images, rows in bring(training.data.train.images, some(training, turn)):
            images[rows[: len(chosen)]].sum()
        seconds["images alone"].append(time.perf_counter() - began)
        began = time.perf_counter()
        for _ in range(BATCHES):
            step(training, held)
        seconds["training alone"].append(time.perf_counter() - began)
        began = time.perf_counter()
        for batch in training.feed.batches(some(training, turn), 0):
            step(training, batch)
        seconds["training with its images"].append(time.perf_counter() - began)
    return {what: BATCHES * training.batch_size / statistics.median(times[1:]) for what, times in seconds.items()}


def run(config_of: Path, overrides: Sequence[str]) -> None:
    """Measure each way to store images."""
    for storage in ("cache", "memory", "stream"):
        config: Config = load_config(config_of, [*overrides, f"data.storage={storage}"])
        began = time.perf_counter()
        training = build_training(config, print)
        start = time.perf_counter() - began
        for image_type in training.feed.image_types:
            warm_up(training.network, image_type)
        training.feed.warm_up()
        training.optimizer.warm_up()
        found = ", ".join(f"{what} {rate:,.0f}" for what, rate in rates(training).items())
        print(f"{storage}: loaded in {start:.1f} s; images/s: {found}")


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
