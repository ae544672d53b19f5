"""How each layer is written as ONNX operators: a table from the layer's class to the function that adds its nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnntrain.export.model import Array, Model, folding, rotated
from cnntrain.export.onnx.graph import Graph, Value
from cnntrain.kernels.geometry import Axis
from cnntrain.layers import LAYERS, Layer, LayerRow
from cnntrain.layers.elu import SELU_ALPHA, SELU_SCALE

GELU_LINEAR, GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715


@dataclass(frozen=True)
class Export:
    """What a layer's function is given beside its row and its input."""

    graph: Graph
    model: Model
    fold: bool  # batch norm into the weights before it

    def sequence(self, rows: Sequence[LayerRow], x: Value) -> Value:
        """Write layers one after the other."""
        norms = folding(rows) if self.fold else {}
        folded = {norm.path for norm in norms.values()}
        for row in rows:
            if row.path in norms:
                x = _weighted(self, row, x, norms[row.path])
            elif row.path not in folded:
                x = TABLE[row.layer](self, row, x)
        return x


def _weighted(to: Export, row: LayerRow, x: Value, norm: LayerRow | None = None) -> Value:
    """Convolution or dense layer, with a batch norm as part of its weights."""
    weight, bias = to.model.weights(row, norm)
    return (_convolution if row.layer is LAYERS["conv2d"] else _dense)(to, row, x, weight, bias)


def _convolution(to: Export, row: LayerRow, x: Value, weight: Array, bias: Array | None) -> Value:
    geometry = row.settings.geometry(row.input_shape)
    windows = geometry.rows, geometry.columns
    inputs = [to.graph.image(x).name, to.graph.constant(f"{row.path}.weight", rotated(row, weight))]
    if bias is not None:
        inputs.append(to.graph.constant(f"{row.path}.bias", bias))
    name = to.graph.add(
        "Conv", inputs, row.path,
        kernel_shape=[w.taps for w in windows], strides=[w.stride for w in windows],
        dilations=[w.dilation for w in windows], group=geometry.groups,
        pads=[*(w.before for w in windows), *(w.after for w in windows)],
    )  # fmt: skip
    return Value(name, row.output_shape)


def _dense(to: Export, row: LayerRow, x: Value, weight: Array, bias: Array | None) -> Value:
    """Our inputs are in C·H·W order, as Flatten leaves them."""
    inputs = [
        to.graph.flat(x).name,
        to.graph.constant(f"{row.path}.weight", weight),
        to.graph.constant(f"{row.path}.bias", np.zeros(len(weight)) if bias is None else bias),
    ]
    return Value(to.graph.add("Gemm", inputs, row.path, transB=1), row.output_shape, flat=True)


def _windows(axes: Sequence[Axis]) -> dict[str, list[int]]:
    """Return the attributes of pooling windows; padding at the end is what the last window needs, if any."""
    after = [max((a.count - 1) * a.stride + a.offset + a.taps - a.input_size, 0) for a in axes]
    return {
        "kernel_shape": [a.taps for a in axes],
        "strides": [a.stride for a in axes],
        "pads": [*(-a.offset for a in axes), *after],
    }


def _max_pool(to: Export, row: LayerRow, x: Value) -> Value:
    """Padding never wins, neither ours nor that of ONNX; so ceil_mode is some more of it at the end."""
    attributes = _windows(row.settings.axes(row.input_shape))
    return Value(to.graph.add("MaxPool", [to.graph.image(x).name], row.path, **attributes), row.output_shape)


def _avg_pool(to: Export, row: LayerRow, x: Value) -> Value:
    """The mean over whole windows, padding included, times what makes it the mean of those pixels that count.

    Nothing is left to the attributes ceil_mode and count_include_pad, which runtimes have read in different ways.
    """
    axes, graph = row.settings.axes(row.input_shape), to.graph
    attributes = _windows(axes)
    image = graph.image(x).name
    if any(attributes["pads"]):
        pads = attributes.pop("pads")
        image = graph.add("Pad", [image], f"{row.path}/padded", pads=[0, 0, *pads[:2], 0, 0, *pads[2:]])
    mean = graph.add("AveragePool", [image], row.path, **attributes)
    rows, columns = (extents(axis, row.settings.count_padding) for axis in axes)
    area = axes[0].taps * axes[1].taps
    factor = area / np.outer(rows, columns)
    if (factor != 1).any():
        mean = graph.add("Mul", [mean, graph.constant(f"{row.path}/counted", factor)], f"{row.path}/mean")
    return Value(mean, row.output_shape)


def extents(axis: Axis, count_padding: bool) -> list[int]:
    """Return for each window how many places along an axis its mean is of (see `kernels.average_pooling`)."""
    starts = [i * axis.stride + axis.offset for i in range(axis.count)]
    if count_padding:
        return [min(start + axis.taps, axis.input_size - axis.offset) - start for start in starts]
    return [min(start + axis.taps, axis.input_size) - max(start, 0) for start in starts]


def _global_avg_pool(to: Export, row: LayerRow, x: Value) -> Value:
    return Value(to.graph.add("GlobalAveragePool", [to.graph.image(x).name], row.path), row.output_shape)


def _batch_norm(to: Export, row: LayerRow, x: Value) -> Value:
    model, channels = to.model, row.input_shape.channels
    tensors = {
        "scale": model.of(row, "scale"), "shift": model.of(row, "shift"),
        "running_mean": model.needed(row, "running_mean"), "running_variance": model.needed(row, "running_variance"),
    }  # fmt: skip
    missing = {"scale": np.ones(channels), "shift": np.zeros(channels)}
    arrays = [
        to.graph.constant(f"{row.path}.{name}", missing[name] if array is None else array)
        for name, array in tensors.items()
    ]
    image = to.graph.image(x).name
    name = to.graph.add("BatchNormalization", [image, *arrays], row.path, epsilon=row.settings.epsilon)
    return Value(name, row.output_shape)


def _local_response_norm(to: Export, row: LayerRow, x: Value) -> Value:
    settings, graph, path = row.settings, to.graph, row.path
    image = graph.image(x).name
    if settings.region == "across_channels":
        constants = {"size": settings.size, "alpha": settings.alpha, "beta": settings.beta, "bias": settings.k}
        return Value(graph.add("LRN", [image], path, **constants), row.output_shape)
    squares = graph.add("Mul", [image, image], f"{path}/squares")
    reach = [settings.size // 2] * 2
    padded = graph.add("Pad", [squares], f"{path}/padded", pads=[0, 0, *reach, 0, 0, *reach])
    mean = graph.add("AveragePool", [padded], f"{path}/mean", kernel_shape=[settings.size] * 2, strides=[1, 1])
    part = graph.add("Mul", [mean, graph.number(f"{path}/alpha", settings.alpha)], f"{path}/part")
    scale = graph.add("Add", [part, graph.number(f"{path}/k", settings.k)], f"{path}/scale")
    power = graph.add("Pow", [scale, graph.number(f"{path}/beta", settings.beta)], f"{path}/power")
    return Value(graph.add("Div", [image, power], path), row.output_shape)


def _same(to: Export, row: LayerRow, x: Value) -> Value:
    """In use, dropout passes everything on."""
    return x


def _flatten(to: Export, row: LayerRow, x: Value) -> Value:
    return to.graph.flat(x)


def _operator(operator: str, attributes: Callable[[Any], dict[str, float]] = lambda _: {}) -> Writer:
    """An element-wise layer that ONNX has; `attributes` of its settings."""

    def write(to: Export, row: LayerRow, x: Value) -> Value:
        return x._replace(name=to.graph.add(operator, [x.name], row.path, **attributes(row.settings)))

    return write


def _prelu(to: Export, row: LayerRow, x: Value) -> Value:
    slope = to.graph.constant(f"{row.path}.slope", to.model.needed(row, "slope").reshape(-1, 1, 1))
    return Value(to.graph.add("PRelu", [to.graph.image(x).name, slope], row.path), row.output_shape)


def _softplus(to: Export, row: LayerRow, x: Value) -> Value:
    beta = to.graph.number(f"{row.path}/beta", row.settings.beta)
    steep = to.graph.add("Mul", [x.name, beta], f"{row.path}/steep")
    soft = to.graph.add("Softplus", [steep], f"{row.path}/soft")
    return x._replace(name=to.graph.add("Div", [soft, beta], row.path))


def _silu(to: Export, row: LayerRow, x: Value) -> Value:
    share = to.graph.add("Sigmoid", [x.name], f"{row.path}/sigmoid")
    return x._replace(name=to.graph.add("Mul", [x.name, share], row.path))


def _gelu(to: Export, row: LayerRow, x: Value) -> Value:
    """Z P(z) with P(z) = (1 + erf(z / √2)) / 2, or tanh in the place of erf."""
    graph, path, z = to.graph, row.path, x.name
    if row.settings.approximate == "tanh":
        square = graph.add("Mul", [z, z], f"{path}/square")
        cubic = graph.add("Mul", [square, graph.number(f"{path}/cubic", GELU_LINEAR * GELU_CUBIC)], f"{path}/bent")
        slope = graph.add("Add", [cubic, graph.number(f"{path}/linear", GELU_LINEAR)], f"{path}/slope")
        curve = graph.add("Tanh", [graph.add("Mul", [z, slope], f"{path}/u")], f"{path}/tanh")
    else:
        part = graph.add("Mul", [z, graph.number(f"{path}/share", math.sqrt(0.5))], f"{path}/u")
        curve = graph.add("Erf", [part], f"{path}/erf")
    shifted = graph.add("Add", [curve, graph.number(f"{path}/one", 1.0)], f"{path}/shifted")
    half = graph.add("Mul", [z, graph.number(f"{path}/half", 0.5)], f"{path}/halved")
    return x._replace(name=graph.add("Mul", [half, shifted], path))


def _repeat(to: Export, row: LayerRow, x: Value) -> Value:
    return to.sequence(row.parts[0].rows, x)


def _residual(to: Export, row: LayerRow, x: Value) -> Value:
    x, graph = to.graph.image(x), to.graph
    body = graph.image(to.sequence(row.parts[0].rows, x))
    if len(row.parts) > 1:
        shortcut = graph.image(to.sequence(row.parts[1].rows, x)).name
    else:
        shortcut = _zero_padded(to, row, x.name)
    return Value(graph.add("Add", [body.name, shortcut], row.path), row.output_shape)


def _zero_padded(to: Export, row: LayerRow, image: str) -> str:
    """Take every s-th pixel (the largest of windows of one pixel), and add channels of zeros."""
    plan = row.settings.subsampling(row.input_shape, row.output_shape)
    if max(plan.row_stride, plan.column_stride) > 1:
        strides = [plan.row_stride, plan.column_stride]
        image = to.graph.add("MaxPool", [image], f"{row.path}/taken", kernel_shape=[1, 1], strides=strides)
    if plan.channels > plan.in_channels:
        pads = [0, 0, 0, 0, 0, plan.channels - plan.in_channels, 0, 0]
        image = to.graph.add("Pad", [image], f"{row.path}/zeros", pads=pads)
    return image


def _branches(to: Export, row: LayerRow, x: Value) -> Value:
    x, graph = to.graph.image(x), to.graph
    names = [graph.image(to.sequence(part.rows, x)).name for part in row.parts]
    if row.settings.merge == "concat":
        return Value(graph.add("Concat", names, row.path, axis=1), row.output_shape)
    return Value(graph.add("Sum", names, row.path), row.output_shape)


Writer = Callable[[Export, LayerRow, Value], Value]
TABLE: dict[type[Layer], Writer] = {
    LAYERS[name]: write
    for name, write in {
        "conv2d": _weighted,
        "dense": _weighted,
        "max_pool2d": _max_pool,
        "avg_pool2d": _avg_pool,
        "global_avg_pool2d": _global_avg_pool,
        "batch_norm2d": _batch_norm,
        "local_response_norm": _local_response_norm,
        "dropout": _same,
        "flatten": _flatten,
        "residual": _residual,
        "branches": _branches,
        "repeat": _repeat,
        "relu": _operator("Relu"),
        "leaky_relu": _operator("LeakyRelu", lambda settings: {"alpha": settings.slope}),
        "prelu": _prelu,
        "elu": _operator("Elu", lambda settings: {"alpha": settings.alpha}),
        "selu": _operator("Selu", lambda _: {"alpha": SELU_ALPHA, "gamma": SELU_SCALE}),
        "gelu": _gelu,
        "silu": _silu,
        "softplus": _softplus,
        "sigmoid": _operator("Sigmoid"),
        "tanh": _operator("Tanh"),
    }.items()
}
