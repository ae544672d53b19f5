"""The layers of a plan for frameworks that compute with functions: one walk, in terms of a few operations.

A framework brings the operations (`Operations`) and may lay arrays out as (N, H, W, C) or (N, C, H, W); everything that
the settings of a layer mean (paddings, ceil mode, shortcuts) is decided here. Imports NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Settings = dict[str, Any]
Pair = tuple[int, int]


class Window(NamedTuple):
    """Where filters or windows stand: sizes, steps, and (before, after) of the padding, rows first."""

    size: Pair
    stride: Pair
    padding: tuple[Pair, Pair]
    dilation: Pair = (1, 1)
    groups: int = 1


class Operations(Protocol):
    """What a framework must bring. `format` is "NHWC" or "NCHW"."""

    format: str

    def convolution(self, x: Any, weight: Any, window: Window) -> Any:
        """Cross-correlation; the weight is as `convolution_weight` made it."""

    def convolution_weight(self, weight: NDArray[Any], window: Window) -> NDArray[Any]:
        """Bring a weight (filters, channels / groups, rows, columns) into the framework's order, once."""

    def add_bias(self, x: Any, bias: Any) -> Any:
        """Add one number per channel."""

    def max_pool(self, x: Any, window: Window) -> Any:
        """Largest of each window; the padding never wins."""

    def sum_pool(self, x: Any, window: Window) -> Any:
        """Sum of each window; the padding is zero."""

    def matrix(self, x: Any, weight: Any) -> Any:
        """Multiply x (N, inputs) and weight (inputs, units)."""

    def flat(self, x: Any) -> Any:
        """(N, everything else)."""

    def mean(self, x: Any) -> Any:
        """Mean over rows and columns: (N, channels)."""

    def batch_norm(
        self, x: Any, scale: Any, shift: Any, running: tuple[Any, Any], epsilon: float, *, training: bool
    ) -> tuple[Any, Any, Any]:
        """Normalise with the batch's own or the running statistics; return (y, mean, unbiased variance)."""

    def relu(self, x: Any) -> Any: ...

    def tanh(self, x: Any) -> Any: ...

    def subsampled(self, x: Any, strides: Pair, channels: int) -> Any:
        """Every s-th pixel, with so many channels of zeros behind its own."""


class Run:
    """One pass through the network, as the framework traces it.

    Attributes
    ----------
    updates : dict
        New running statistics, by name, after a pass in training.
    """

    def __init__(self, operations: Operations, tensors: Mapping[str, Any], *, training: bool) -> None:
        self.operations, self.tensors, self.training = operations, tensors, training
        self.updates: dict[str, Any] = {}

    def sequence(self, layers: list[Settings], x: Any) -> Any:
        """Run layers one after the other."""
        for layer in layers:
            x = LAYERS[layer["name"]](self, layer, x)
        return x

    def tensor(self, s: Settings, name: str) -> Any:
        """Return a tensor of a layer, None where it has none of that name."""
        return self.tensors.get(f"{s['path']}.{name}")


def convolution_window(s: Settings) -> Window:
    """Return where the filters of a convolution stand."""
    size, dilation = tuple(s["kernel_size"]), tuple(s["dilation"])
    padding: list[Pair] = []
    for axis in range(2):
        given = s["padding"]
        if given == "same":
            total = dilation[axis] * (size[axis] - 1)
            padding.append((total // 2, total - total // 2))
        else:
            padding.append((0, 0) if given == "valid" else (given[axis], given[axis]))
    return Window(size, tuple(s["stride"]), (padding[0], padding[1]), dilation, s["groups"])


def pooling_window(s: Settings) -> Window:
    """Return where the windows of a pooling layer stand; in ceil mode they may reach past the padding."""
    size, stride = tuple(s["kernel_size"]), tuple(s["stride"] or s["kernel_size"])
    padding = []
    for axis in range(2):
        given, length, output = s["padding"][axis], s["input_shape"][1 + axis], s["output_shape"][1 + axis]
        reached = (output - 1) * stride[axis] + size[axis]
        padding.append((given, max(reached - length - given, 0)))
    return Window(size, stride, (padding[0], padding[1]))


def counts(s: Settings) -> NDArray[np.float32]:
    """Return how many values each mean of average pooling is taken over, (rows, columns)."""
    window, found = pooling_window(s), []
    for axis in range(2):
        given, length, output = s["padding"][axis], s["input_shape"][1 + axis], s["output_shape"][1 + axis]
        low, high = (-given, length + given) if s["count_padding"] else (0, length)
        starts = np.arange(output) * window.stride[axis] - given
        found.append(np.minimum(starts + window.size[axis], high) - np.maximum(starts, low))
    return np.outer(*found).astype(np.float32)


def prepared(
    layers: list[Settings], state: Mapping[str, NDArray[Any]], operations: Operations
) -> dict[str, NDArray[Any]]:
    """Return all tensors as the operations take them: every change of order happens here, before the first step."""
    found: dict[str, NDArray[Any]] = {}
    for s in layers:
        for part in s.get("parts", ()):
            found |= prepared(part, state, operations)
        own = {name: value for name, value in state.items() if name.rpartition(".")[0] == s["path"]}
        weight = f"{s['path']}.weight"
        if s["name"] == "conv2d":
            own[weight] = operations.convolution_weight(own[weight], convolution_window(s))
        elif s["name"] == "dense":
            channels, rows, columns = s["input_shape"]
            by_place = own[weight].reshape(-1, channels, rows, columns)
            order = (2, 3, 1, 0) if operations.format == "NHWC" else (1, 2, 3, 0)
            own[weight] = by_place.transpose(order).reshape(channels * rows * columns, -1)
        found |= own
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


def _conv2d(run: Run, s: Settings, x: Any) -> Any:
    y = run.operations.convolution(x, run.tensor(s, "weight"), convolution_window(s))
    bias = run.tensor(s, "bias")
    return y if bias is None else run.operations.add_bias(y, bias)


def _dense(run: Run, s: Settings, x: Any) -> Any:
    y = run.operations.matrix(run.operations.flat(x), run.tensor(s, "weight"))
    bias = run.tensor(s, "bias")
    return y if bias is None else y + bias


def _avg_pool2d(run: Run, s: Settings, x: Any) -> Any:
    divisor = counts(s)
    sums = run.operations.sum_pool(x, pooling_window(s))
    if (divisor == divisor[0, 0]).all():
        return sums * float(1 / divisor[0, 0])
    return sums * (1 / divisor)[(..., None) if run.operations.format == "NHWC" else ...]


def _batch_norm2d(run: Run, s: Settings, x: Any) -> Any:
    names = ("running_mean", "running_variance")
    running = [run.tensor(s, name) for name in names]
    scale, shift = run.tensor(s, "scale"), run.tensor(s, "shift")
    y, *batch = run.operations.batch_norm(
        x, scale, shift, (running[0], running[1]), s["epsilon"], training=run.training
    )
    if run.training:
        for name, old, new in zip(names, running, batch, strict=True):
            run.updates[f"{s['path']}.{name}"] = (1 - s["momentum"]) * old + s["momentum"] * new
    return y


def _residual(run: Run, s: Settings, x: Any) -> Any:
    body, *shortcut = s["parts"]
    if shortcut:
        return run.sequence(body, x) + run.sequence(shortcut[0], x)
    (channels, *image), (filters, *output) = s["input_shape"], s["output_shape"]
    strides = -(-image[0] // output[0]), -(-image[1] // output[1])
    return run.sequence(body, x) + run.operations.subsampled(x, strides, filters - channels)


LAYERS: dict[str, Callable[[Run, Settings, Any], Any]] = {
    "conv2d": _conv2d,
    "dense": _dense,
    "max_pool2d": lambda run, s, x: run.operations.max_pool(x, pooling_window(s)),
    "avg_pool2d": _avg_pool2d,
    "global_avg_pool2d": lambda run, s, x: run.operations.mean(x),
    "batch_norm2d": _batch_norm2d,
    "relu": lambda run, s, x: run.operations.relu(x),
    "tanh": lambda run, s, x: run.operations.tanh(x),
    "flatten": lambda run, s, x: x,  # before dense layers alone, which see to it
    "residual": _residual,
    "repeat": lambda run, s, x: run.sequence(s["parts"][0], x),
}
