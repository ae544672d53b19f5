"""What `layers.npz` holds: layers, settings and shapes, without PyTorch; `make_layers.py` adds what that computes."""

from __future__ import annotations

from typing import Any

# name: (layer, settings, x shape)
LAYERS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "avg_pool2d": ("avg_pool2d", {"kernel_size": 2}, (2, 2, 6, 7)),
    "avg_pool2d padded": ("avg_pool2d", {"kernel_size": [3, 2], "stride": 2, "padding": 1}, (2, 2, 6, 7)),
    "avg_pool2d ceil": ("avg_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}, (2, 2, 6, 6)),
    "avg_pool2d ceil, last window would start in the padding": (
        "avg_pool2d",
        {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
        (2, 2, 5, 5),
    ),
    "avg_pool2d real pixels": (
        "avg_pool2d",
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_padding": False},
        (2, 2, 6, 6),
    ),
    "global_avg_pool2d": ("global_avg_pool2d", {}, (2, 3, 5, 4)),
    "batch_norm2d": ("batch_norm2d", {"momentum": 0.3, "epsilon": 0.01}, (17, 3, 3, 2)),
    "local_response_norm": ("local_response_norm", {"size": 5, "alpha": 0.5, "beta": 0.75, "k": 2.0}, (2, 7, 3, 2)),
    "local_response_norm within": (
        "local_response_norm",
        {"size": 3, "alpha": 0.5, "region": "within_channel"},
        (2, 2, 4, 5),
    ),
    "prelu": ("prelu", {}, (17, 3, 3, 2)),
    "prelu shared": ("prelu", {"shared": True}, (3, 3, 3, 2)),
    "elu": ("elu", {"alpha": 0.7}, (1, 1, 6, 20)),
    "selu": ("selu", {}, (1, 1, 6, 20)),
    "gelu": ("gelu", {}, (1, 1, 6, 20)),
    "gelu tanh": ("gelu", {"approximate": "tanh"}, (1, 1, 6, 20)),
    "silu": ("silu", {}, (1, 1, 6, 20)),
    "softplus": ("softplus", {"beta": 2.0}, (1, 1, 6, 20)),
    "depthwise": (
        "conv2d",
        {"filters": 5, "groups": 5, "kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 1], "dilation": [1, 2]},
        (3, 5, 6, 7),
    ),
}
