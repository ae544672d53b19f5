"""A training that takes a moment: 512 real MNIST digits, shrunk to 14x14, and a network of one convolution."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cnntrain.config import load_config
from cnntrain.data.idx_format import read_idx
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.reporter import Reporter
from cnntrain.training.session import resume_run, start_run

MNIST = Path(__file__).parents[2] / "data" / "mnist"
TRAIN, TEST, VALIDATION = 512, 128, 64
STEPS = 14  # per epoch: (512 - 64) / 32

CONFIG: dict[str, Any] = {
    "seed": 7,
    "data": {"source": "npz", "path": "digits.npz", "validation": VALIDATION},
    "network": [{"conv2d": {"filters": 4, "kernel_size": 3}}, "tanh", {"max_pool2d": 2}, {"dense": "classes"}],
    "optimizer": {"sgd": {"learning_rate": 0.05, "momentum": 0.9}},
    "train": {"epochs": 2, "batch_size": 32},
}


@cache
def digits() -> dict[str, np.ndarray]:
    images = read_idx(MNIST / "t10k-images-idx3-ubyte.gz", 3)[: TRAIN + TEST]
    labels = read_idx(MNIST / "t10k-labels-idx1-ubyte.gz", 1)[: TRAIN + TEST]
    small = images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).astype(np.uint8)
    return {"x_train": small[:TRAIN], "y_train": labels[:TRAIN], "x_test": small[TRAIN:], "y_test": labels[TRAIN:]}


def write_data(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(folder / "digits.npz", allow_pickle=False, **arrays)


def write_config(folder: Path, name: str = "digits", **changes: Any) -> Path:
    """Write the data and a config into a folder; a change replaces a whole top-level value, or updates a mapping."""
    if not (folder / "digits.npz").exists():
        write_data(folder, digits())
    merged = dict(CONFIG)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = {**old, **value} if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    merged["data"] = {**merged["data"], "path": str(folder / merged["data"]["path"])}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(merged))
    return path


def train(config: Path, out: Path, *overrides: str) -> RunFolder:
    return start_run(load_config(config, overrides), Reporter(quiet=True), out=out)[0]


def resume(run: Path, *overrides: str) -> RunFolder:
    return resume_run(run, Reporter(quiet=True), overrides=overrides)[0]


def rows(folder: RunFolder) -> list[dict[str, str]]:
    with folder.metrics.open() as file:
        return list(csv.DictReader(file))


def without_times(folder: RunFolder) -> list[dict[str, str]]:
    return [{key: row[key] for key in row if key not in ("images_per_second", "seconds")} for row in rows(folder)]


def same_files(one: RunFolder, other: RunFolder) -> bool:
    return (one.last.read_bytes(), one.best.read_bytes(), without_times(one)) == (
        other.last.read_bytes(), other.best.read_bytes(), without_times(other),
    )  # fmt: skip
