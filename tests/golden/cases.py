"""What the golden files hold: settings and arrays, without PyTorch. `make_golden.py` adds what PyTorch computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FOLDER = Path(__file__).parent

# name: (x shape, weight shape, settings); PyTorch knows cross-correlation only, so "convolution" rotates its filters.
CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((2, 3, 6, 5), (4, 3, 3, 2), {}),
    "padded": ((2, 2, 5, 6), (3, 2, 3, 5), {"padding": (2, 1)}),
    "same": ((2, 2, 5, 6), (3, 2, 4, 3), {"padding": "same"}),
    "strided": ((2, 2, 8, 7), (3, 2, 3, 3), {"stride": (2, 3), "padding": 1}),
    "dilated": ((2, 2, 9, 8), (3, 2, 3, 2), {"dilation": (2, 3), "padding": 2, "stride": 2}),
    "grouped": ((2, 4, 6, 6), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
    "depthwise": ((2, 3, 7, 6), (6, 1, 3, 3), {"groups": 3, "stride": 2, "padding": 1}),
    "rotated": ((2, 3, 6, 5), (4, 3, 3, 2), {"mode": "convolution", "padding": 1}),
    "batch of 17": ((17, 2, 5, 5), (3, 2, 3, 3), {"padding": 1}),
}

# name: (x shape, settings); PyTorch allows a padding of at most half the window
POOLINGS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "plain": ((2, 2, 6, 7), {"kernel_size": 2}),
    "overlapping": ((2, 2, 7, 7), {"kernel_size": 3, "stride": 2}),
    "stride 1": ((2, 2, 5, 5), {"kernel_size": (2, 3), "stride": 1}),
    "padded": ((2, 2, 6, 7), {"kernel_size": (3, 2), "stride": 2, "padding": 1}),
    "ceil": ((2, 2, 8, 7), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
    "ceil, padded": ((2, 2, 6, 6), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    "ceil, last window would start in the padding": (
        (2, 2, 5, 5),
        {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
    ),
    "ceil, stride larger than the window": ((2, 2, 8, 9), {"kernel_size": 2, "stride": 3, "ceil_mode": True}),
}

ACTIVATIONS = ["relu", "sigmoid", "tanh"]

# name: (momentum, nesterov, weight_decay)
SGD_VARIANTS: dict[str, tuple[float, bool, float]] = {
    "plain": (0.0, False, 0.0),
    "weight decay": (0.0, False, 0.01),
    "momentum": (0.9, False, 0.0),
    "nesterov": (0.9, True, 0.0),
    "nesterov and weight decay": (0.9, True, 0.01),
}
SGD_RATES = [0.1, 0.1, 0.05, 0.05, 0.2, 0.2]  # PyTorch multiplies the velocity with the rate of the present step


def generator(seed: int) -> np.random.Generator:
    """Only the script that makes the files draws from it: its numbers are stored in them."""
    return np.random.default_rng(seed)


# ---- a training run of LeNet-5 ----

LENET_YAML = """
name: golden
data: {source: mnist, path: data/mnist}
network:
  - conv2d: {filters: 6, kernel_size: 5, padding: same}
  - tanh
  - max_pool2d: 2
  - conv2d: {filters: 16, kernel_size: 5}
  - tanh
  - max_pool2d: 2
  - dense: 120
  - tanh
  - dense: 84
  - tanh
  - dense: 10
loss: cross_entropy
optimizer:
  sgd: {learning_rate: 0.05, momentum: 0.9, nesterov: true, weight_decay: 5e-4}
schedule: constant
train: {steps: 6, batch_size: 20}
"""
LENET_SHAPES: dict[str, tuple[int, ...]] = {
    "conv1.weight": (6, 1, 5, 5),
    "conv1.bias": (6,),
    "conv2.weight": (16, 6, 5, 5),
    "conv2.bias": (16,),
    "dense1.weight": (120, 400),
    "dense1.bias": (120,),
    "dense2.weight": (84, 120),
    "dense2.bias": (84,),
    "dense3.weight": (10, 84),
    "dense3.bias": (10,),
}
LENET_STEPS, LENET_BATCH, LENET_IMAGES = 6, 20, 60
LENET_SCALE, LENET_SHIFT = 0.0126953125, -0.421875  # x = image * scale + shift, exact in float32
# The file keeps every n-th entry of the two large tensors; what goes wrong in one entry goes wrong in its neighbours.
LENET_KEEP_EVERY = {"dense1.weight": 31, "dense2.weight": 5}


def lenet_numbers(count: int, seed: int) -> Array:
    """Uniform numbers in [0, 1): raw bits of PCG64, which no NumPy version may change, so that no file holds them."""
    raw = np.random.PCG64(seed).random_raw(count)
    return np.asarray(raw >> np.uint64(11), np.float64) / 2.0**53


def lenet_weights() -> dict[str, Array]:
    """Initial parameters, float64: uniform within 1/sqrt(fan in) of 0, rounded to float32."""
    weights = {}
    for seed, (name, shape) in enumerate(LENET_SHAPES.items()):
        bound = 1 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.1
        numbers = (2 * lenet_numbers(int(np.prod(shape)), seed) - 1) * bound
        weights[name] = numbers.astype(np.float32).astype(np.float64).reshape(shape)
    return weights


def lenet_images() -> tuple[Array, Array]:
    """Uint8 images (60, 1, 28, 28) with a bright bar that moves with the label, and labels (60,)."""
    labels = (np.arange(LENET_IMAGES) * 7 % 10).astype(np.int64)
    pixels = lenet_numbers(LENET_IMAGES * 28 * 28, 99).reshape(LENET_IMAGES, 1, 28, 28) * 80
    for image, label in zip(pixels, labels, strict=True):
        image[0, 4 : 4 + 2 * label, 2 * label + 3 : 2 * label + 7] += 170
    return pixels.astype(np.uint8), labels


def lenet_batch(step: int) -> Array:
    """Indices of the images of a step (int64)."""
    return (np.arange(LENET_BATCH) * 11 + 17 * step) % LENET_IMAGES


def kept(name: str, tensor: Array) -> Array:
    """What the golden file holds of a tensor."""
    return np.asarray(tensor).ravel()[:: LENET_KEEP_EVERY.get(name, 1)]
