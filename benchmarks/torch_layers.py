"""The layers of a plan as PyTorch has them. Needs torch only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

Settings = dict[str, Any]


def _conv2d(s: Settings) -> Any:
    padding = s["padding"] if isinstance(s["padding"], str) else tuple(s["padding"])
    return nn.Conv2d(
        s["input_shape"][0], s["filters"], tuple(s["kernel_size"]), tuple(s["stride"]), padding,
        tuple(s["dilation"]), s["groups"], s["bias"],
    )  # fmt: skip


def _max_pool2d(s: Settings) -> Any:
    stride = tuple(s["stride"] or s["kernel_size"])
    return nn.MaxPool2d(tuple(s["kernel_size"]), stride, tuple(s["padding"]), ceil_mode=s["ceil_mode"])


def _avg_pool2d(s: Settings) -> Any:
    stride = tuple(s["stride"] or s["kernel_size"])
    return nn.AvgPool2d(tuple(s["kernel_size"]), stride, tuple(s["padding"]), s["ceil_mode"], s["count_padding"])


def _dense(s: Settings) -> Any:
    channels, rows, columns = s["input_shape"]
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * rows * columns, s["units"], s["bias"]))


def _batch_norm2d(s: Settings) -> Any:
    norm = nn.BatchNorm2d(s["input_shape"][0], s["epsilon"], s["momentum"])
    norm.weight.requires_grad, norm.bias.requires_grad = s["scale"], s["shift"]  # 1 and 0 where they are not learned
    return norm


class Residual(nn.Module):
    """body(x) + shortcut(x); with a body alone, the shortcut takes every s-th pixel and adds channels of zeros."""

    def __init__(self, s: Settings) -> None:
        super().__init__()
        body, *shortcut = s["parts"]
        self.body = sequence(body, inside=True)
        self.shortcut = sequence(shortcut[0], inside=True) if shortcut else None
        (channels, rows, columns), (filters, output_rows, output_columns) = s["input_shape"], s["output_shape"]
        self.strides = -(-rows // output_rows), -(-columns // output_columns)
        self.added = filters - channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add both ways."""
        if self.shortcut is not None:
            return self.body(x) + self.shortcut(x)
        short = x[:, :, :: self.strides[0], :: self.strides[1]]
        return self.body(x) + nn.functional.pad(short, (0, 0, 0, 0, 0, self.added))


LAYERS: dict[str, Callable[[Settings], Any]] = {
    "conv2d": _conv2d,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "global_avg_pool2d": lambda s: nn.AdaptiveAvgPool2d(1),
    "batch_norm2d": _batch_norm2d,
    "dropout": lambda s: nn.Dropout(s["rate"]),
    "dense": _dense,
    "flatten": lambda s: nn.Flatten(),
    "relu": lambda s: nn.ReLU(),
    "leaky_relu": lambda s: nn.LeakyReLU(s["slope"]),
    "gelu": lambda s: nn.GELU(s["approximate"]),
    "sigmoid": lambda s: nn.Sigmoid(),
    "tanh": lambda s: nn.Tanh(),
    "residual": Residual,
    "repeat": lambda s: sequence(s["parts"][0]),
}


def sequence(layers: list[Settings], *, inside: bool = False) -> Any:
    """Build layers one after the other.

    A ReLU works in place, which is what PyTorch does fastest, unless it stands first `inside` a layer that still needs
    its input.
    """
    modules = []
    for index, layer in enumerate(layers):
        in_place = layer["name"] == "relu" and not (inside and index == 0)
        modules.append(nn.ReLU(inplace=True) if in_place else LAYERS[layer["name"]](layer))
    return nn.Sequential(*modules)


TENSORS = {
    nn.Conv2d: {"weight": "weight", "bias": "bias"},
    nn.Linear: {"weight": "weight", "bias": "bias"},
    nn.BatchNorm2d: {
        "weight": "scale", "bias": "shift", "running_mean": "running_mean", "running_var": "running_variance",
    },
}  # fmt: skip


def paths(layers: list[Settings]) -> list[str]:
    """Return the paths of the layers that have tensors, in the order in which PyTorch lists their modules."""
    found = []
    for layer in layers:
        if layer["name"] in ("conv2d", "dense", "batch_norm2d"):
            found.append(layer["path"])
        for part in layer.get("parts", ()):
            found += paths(part)
    return found


def load(model: Any, layers: list[Settings], state: Mapping[str, Any]) -> None:
    """Give a model of `sequence(layers)` cnntrain's tensors, named "path.tensor"."""
    modules = [module for module in model.modules() if type(module) in TENSORS]
    with torch.no_grad():
        for module, path in zip(modules, paths(layers), strict=True):
            for own, ours in TENSORS[type(module)].items():
                if f"{path}.{ours}" in state:
                    getattr(module, own).copy_(torch.from_numpy(state[f"{path}.{ours}"]))
