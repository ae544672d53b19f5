"""What the golden file `records.npz` is about: Muon, Lookahead, whitening, views of an image. No PyTorch here.

`make_records.py` adds what PyTorch computes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
DTYPES = ["float64", "float32"]

# ---- muon: parameters of every kind, six steps with given gradients ----

SHAPES = {"0.weight": (6, 2, 3, 3), "0.bias": (6,), "1.weight": (20, 3, 1, 2), "2.weight": (5, 7)}
RATES = [1.0, 1.0, 0.5, 0.5, 2.0, 0.25]
MUON: dict[str, dict[str, Any]] = {
    "airbench": {
        "learning_rate": 0.24, "momentum": 0.6, "steps": 3, "normalize": True,
        "others": {"learning_rate": 0.05, "momentum": 0.85, "weight_decay": 0.08},
    },
    "defaults": {},
    "plain momentum": {
        "learning_rate": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 0.05,
        "others": {"momentum": 0.0, "nesterov": False},
    },
}  # fmt: skip

# ---- lookahead: 29 steps of gradient descent, 8 to the epoch; a running statistic beside two parameters ----

LOOKAHEAD = {"every": 5, "keep": 0.95**5, "power": 3.0, "start_epochs": 1.0}
PLAIN_LOOKAHEAD = {"every": 3, "keep": 0.4}
STEPS, STEPS_PER_EPOCH = 29, 8
WEIGHTS = {"0.weight": (3, 2), "0.bias": (5,)}

# ---- whitening ----

IMAGES, WINDOW, EPSILON = (40, 2, 7, 6), (2, 3), 5e-4

# ---- views: a convolution with ReLU and a dense layer, six images ----

NETWORK_IMAGES, FILTERS, CLASSES = (6, 2, 8, 7), 4, 3
VIEWS: dict[str, dict[str, Any]] = {
    "flip": {"flip": True},
    "shift": {"shift": 2},
    "both": {"flip": True, "shift": 1},
}


def size(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(int(np.prod(shape)) for shape in shapes.values())


def correlated(seed: int) -> Array:
    """Images whose neighbouring pixels and channels are alike."""
    noise = np.random.default_rng(seed).standard_normal(IMAGES)
    return noise + 0.8 * np.roll(noise, 1, axis=3) + 0.5 * noise[:, ::-1] + 0.3
