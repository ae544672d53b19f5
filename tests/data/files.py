"""Small data sets on disk, for the tests of the sources."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data import DataSettings

MNIST = Path(__file__).parents[2] / "data" / "mnist"
MNIST_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(values: Any) -> bytes:
    """IDX bytes of unsigned bytes."""
    array = np.asarray(values, dtype=np.uint8)
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def images(count: int, rows: int = 3, columns: int = 2, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, rows, columns), dtype=np.uint8)


def write_mnist(folder: Path, train_labels: list[int], test_labels: list[int], suffix: str = ".gz") -> dict[str, Path]:
    """Write four files of random images with these labels; return their paths by name."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = (images(len(train_labels)), train_labels, images(len(test_labels), seed=2), test_labels)
    paths = {}
    for name, array in zip(MNIST_FILES, arrays, strict=True):
        content = idx(array)
        paths[name] = folder / f"{name}{suffix}"
        paths[name].write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    return paths


def settings(**keys: Any) -> DataSettings:
    return DataSettings.model_validate(
        {key: str(value) if isinstance(value, Path) else value for key, value in keys.items()}
    )
