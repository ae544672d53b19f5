"""A small airbench94, and a small one with Muon: what `record_runs.npz` is about. No PyTorch here.

The networks have all parts of the recipes in `configs/`, in float64: whitening, dirac and the rest, a bias that learns
for some epochs, batch norm's rates, Lookahead, Muon. Two epochs of six steps, then the outputs over six views.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.config import infer_shapes, parse_config
from cnntrain.data import Split
from cnntrain.evaluation.whiten import whiten
from cnntrain.network import AsTheyAre, Network
from cnntrain.shape import Shape
from cnntrain.training.setup import course_of, rate_at, schedule_of

IMAGE, CLASSES, BATCH, STEPS, PER_EPOCH = (3, 8, 8), 3, 12, 12, 6

CONFIG = """
data: {source: npz, path: none.npz}
network:
  - conv2d: {filters: 8, kernel_size: 2, weight_init: whitening, weight_learning_rate: 0, bias_epochs: 1.5,
             epochs_schedule: PART, bias_init: {uniform: 0.2}}
  - gelu
  - conv2d: {filters: 12, kernel_size: 3, padding: same, bias: false, weight_init: {dirac: {rest: {uniform: 0.07}}}}
  - max_pool2d: 2
  - batch_norm2d: {momentum: 0.4, epsilon: 1e-12, scale: false, shift_learning_rate: 4, shift_decay: 0.25}
  - gelu
  - conv2d: {filters: 12, kernel_size: 3, padding: same, bias: false, weight_init: dirac}
  - batch_norm2d: {momentum: 0.4, epsilon: 1e-12, scale: false, shift_learning_rate: 4, shift_decay: 0.25}
  - gelu
  - max_pool2d: 3
  - dense: {units: classes, bias: false, weight_learning_rate: 0.5, weight_decay: 3}
loss: {cross_entropy: {label_smoothing: 0.2}}
optimizer: OPTIMIZER
schedule: {triangular: {peak: 0.25, start_factor: 0.2, final_factor: 0.07}}
train: {steps: 12, batch_size: 12}
test_time: {flip: true, shift: 1}
"""
LOOKAHEAD = "lookahead: {every: 2, keep: 0.8, power: 3, start_epochs: 0.5}"
RUNS = {
    "airbench94": (
        "cut",
        f"{{sgd: {{learning_rate: 0.05, momentum: 0.85, nesterov: true, weight_decay: 0.01, {LOOKAHEAD}}}}}",
    ),
    "muon": (
        "whole",
        "{muon: {learning_rate: 0.1, momentum: 0.6, steps: 3, normalize: true, "
        "others: {learning_rate: 0.05, momentum: 0.85, weight_decay: 0.01}}}",
    ),
}


def images(seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Six batches whose neighbouring pixels are alike, with labels that follow from them."""
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((PER_EPOCH * BATCH, *IMAGE))
    smooth = noise + np.roll(noise, 1, axis=2) + np.roll(noise, 1, axis=3)
    return smooth, np.argsort(smooth.mean(axis=(1, 2, 3))).argsort() % CLASSES


def run(name: str, seed: int = 5) -> SimpleNamespace:
    """Network, optimiser and data at the start of a run."""
    part, optimizer = RUNS[name]
    config = parse_config(CONFIG.replace("PART", part).replace("OPTIMIZER", optimizer), f"{name}.yaml")
    rows = infer_shapes(config, Shape(*IMAGE), CLASSES)
    network = Network(rows, batch_size=BATCH, loss=config.loss, dtype=np.float64, seed=seed, fusions=False)
    pixels, labels = images(seed)
    normalization: Any = SimpleNamespace(apply=lambda images, dtype: images)
    whiten(config, network, Split(pixels, labels), normalization)
    stepper = config.optimizer.registered(config.optimizer.settings, network.parameters)
    schedule, total = schedule_of(config, PER_EPOCH)
    stepper.follow(course_of(config, network, PER_EPOCH, total))
    return SimpleNamespace(
        config=config, rows=rows, network=network, optimizer=stepper, images=pixels, labels=labels, total_steps=total,
        steps_per_epoch=PER_EPOCH, rate=lambda step: rate_at(config.optimizer.settings.learning_rate, schedule, step),
        plain=AsTheyAre(IMAGE[0]),
    )  # fmt: skip


def chosen(step: int) -> NDArray[np.int64]:
    """The images of a step."""
    first = step % PER_EPOCH * BATCH
    return np.arange(first, first + BATCH, dtype=np.int64)
