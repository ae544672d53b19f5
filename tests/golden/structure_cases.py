"""A small network with everything that joins paths: what PyTorch computed for it is in `structures.npz`."""

from __future__ import annotations

import numpy as np

from tests.golden.cases import Array, lenet_numbers

LAYERS = """
- conv2d: {filters: 4, kernel_size: 3, padding: 1}
- relu
- residual:
    - conv2d: {filters: 4, kernel_size: 3, padding: 1}
    - relu
    - conv2d: {filters: 4, kernel_size: 3, padding: 1}
- relu
- residual:
    body:
      - conv2d: {filters: 6, kernel_size: 3, stride: 2, padding: 1}
      - relu
      - conv2d: {filters: 6, kernel_size: 3, padding: 1}
    shortcut: zero_padded
- leaky_relu: 0.1
- residual:
    body:
      - conv2d: {filters: 8, kernel_size: 3, stride: 2, padding: 1}
      - tanh
      - conv2d: {filters: 8, kernel_size: 3, padding: 1}
    shortcut:
      - conv2d: {filters: 8, kernel_size: 1, stride: 2, bias: false}
- branches:
    - [conv2d: {filters: 3, kernel_size: 1}]
    - []
    - [conv2d: {filters: 2, kernel_size: 3, padding: 1}, tanh]
- flatten
- dense: 3
"""
IMAGE, IMAGES, CLASSES = (2, 9, 7), 17, 3
SHAPES: dict[str, tuple[int, ...]] = {
    "0.conv2d": (4, 2, 3, 3),
    "2.residual.body.0.conv2d": (4, 4, 3, 3),
    "2.residual.body.2.conv2d": (4, 4, 3, 3),
    "4.residual.body.0.conv2d": (6, 4, 3, 3),
    "4.residual.body.2.conv2d": (6, 6, 3, 3),
    "6.residual.body.0.conv2d": (8, 6, 3, 3),
    "6.residual.body.2.conv2d": (8, 8, 3, 3),
    "6.residual.shortcut.0.conv2d": (8, 6, 1, 1),
    "7.branches.0.0.conv2d": (3, 8, 1, 1),
    "7.branches.2.0.conv2d": (2, 8, 3, 3),
    "9.dense": (3, 13 * 3 * 2),
}
WITHOUT_BIAS = "6.residual.shortcut.0.conv2d"


def parameters() -> dict[str, Array]:
    """All parameters in canonical shapes, by their names in cnntrain."""
    values: dict[str, Array] = {}
    for seed, (name, shape) in enumerate(SHAPES.items()):
        bound = 1.5 / np.sqrt(np.prod(shape[1:]))
        values[f"{name}.weight"] = _symmetric(int(np.prod(shape)), 500 + seed).reshape(shape) * bound
        if name != WITHOUT_BIAS:
            values[f"{name}.bias"] = _symmetric(shape[0], 600 + seed) * 0.2
    return values


def images() -> tuple[Array, Array]:
    """Images (17, 2, 9, 7) in float64, and labels."""
    values = _symmetric(IMAGES * int(np.prod(IMAGE)), 700).reshape(IMAGES, *IMAGE) * 2
    return values, (np.arange(IMAGES) * 5 % CLASSES).astype(np.int64)


def _symmetric(count: int, seed: int) -> Array:
    """Uniform numbers in [-1, 1)."""
    return 2 * lenet_numbers(count, seed) - 1
