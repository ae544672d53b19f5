"""Configs that a few processes train in a moment: everything that a step may depend on."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cnntrain.data.idx_format import read_idx
from tests.training.small import MNIST, write_config

SHARDS = 8

# 100 of 117 images to train on: batches of 30 leave shards of 4 and of 3, and a last batch of 10.
# 28x28 pixels as LeNet-5 takes them.
LENET: dict[str, Any] = {
    "data": {"path": "digits.npz", "validation": 17, "normalize": "standard"},
    "network": [
        {"conv2d": {"filters": 6, "kernel_size": 5, "padding": "same"}}, "tanh", {"max_pool2d": 2},
        {"conv2d": {"filters": 16, "kernel_size": 5}}, "tanh", {"max_pool2d": 2},
        {"dense": 120}, "tanh", {"dense": 84}, "tanh", {"dense": "classes"},
    ],
    "optimizer": {"sgd": {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}},
    "schedule": "cosine",
    "train": {"epochs": 2, "batch_size": 30, "shards": SHARDS},
}  # fmt: skip

# 109 images to train on: a last batch of 19, and of 5 in batches of 26: fewer than shards.
RESNET: dict[str, Any] = {
    "data": {
        "validation": 19,
        "augment": [{"random_crop": {"padding": 1}}, "horizontal_flip", {"mixup": 0.4}],
    },
    "network": [
        {"conv2d": {"filters": 4, "kernel_size": 3, "padding": "same"}}, "batch_norm2d", "relu",
        {"residual": [
            {"conv2d": {"filters": 4, "kernel_size": 3, "padding": "same"}}, "batch_norm2d", "relu",
            {"conv2d": {"filters": 4, "kernel_size": 3, "padding": "same"}}, "batch_norm2d",
        ]},
        "relu", {"max_pool2d": 2}, {"dropout": 0.2}, {"dense": "classes"},
    ],
    "loss": {"cross_entropy": {"class_weights": "balanced"}},
    "optimizer": {"sgd": {"learning_rate": 0.05, "momentum": 0.9, "ema": 0.9, "clip_norm": 0.5}},
    "schedule": {"plateau": {"patience": 0, "threshold": 10.0, "threshold_mode": "absolute"}},  # falls every epoch
    "early_stopping": {"patience": 3, "min_delta": 0.9},  # ends the training after four
    "checkpoint": {"every": "3 steps"},
    "train": {"epochs": 9, "batch_size": 26, "shards": SHARDS},
}  # fmt: skip


@cache
def _images(count: int) -> tuple[np.ndarray, np.ndarray]:
    images = read_idx(MNIST / "t10k-images-idx3-ubyte.gz", 3)[:count]
    return images, read_idx(MNIST / "t10k-labels-idx1-ubyte.gz", 1)[:count]


def write(folder: Path, settings: dict[str, Any], name: str = "digits", *, images: int = 0, small: bool = True) -> Path:
    """Write a config with so many images of its own; 0 takes those of `tests/training/small.py`."""
    folder.mkdir(exist_ok=True, parents=True)
    if images:
        x, y = _images(images + 20)
        if small:
            x = x.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).astype(np.uint8)
        arrays = {"x_train": x[:images], "y_train": y[:images], "x_test": x[images:], "y_test": y[images:]}
        np.savez(folder / "digits.npz", allow_pickle=False, **arrays)
    return write_config(folder, name, **settings)


def lenet(folder: Path) -> Path:
    return write(folder, LENET, images=117, small=False)


def resnet(folder: Path) -> Path:
    return write(folder, RESNET, images=128)
