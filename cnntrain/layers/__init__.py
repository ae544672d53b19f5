"""The layers; a new one is a file here and a line in `LAYERS`."""

from __future__ import annotations

from cnntrain.layers.activations import LeakyRelu, Relu, Sigmoid, Tanh
from cnntrain.layers.base import Batch, Layer, LayerContext, LayerSettings, Parameter, Shape, Statistic
from cnntrain.layers.branches import Branches
from cnntrain.layers.conv2d import Conv2d
from cnntrain.layers.dense import Dense
from cnntrain.layers.flatten import Flatten
from cnntrain.layers.max_pool2d import MaxPool2d
from cnntrain.layers.repeat import Repeat
from cnntrain.layers.residual import Residual

LAYERS: dict[str, type[Layer]] = {
    layer.name: layer
    for layer in (
        Conv2d,
        Dense,
        MaxPool2d,
        Relu,
        LeakyRelu,
        Sigmoid,
        Tanh,
        Flatten,
        Residual,
        Branches,
        Repeat,
    )
}

__all__ = ["LAYERS", "Batch", "Layer", "LayerContext", "LayerSettings", "Parameter", "Shape", "Statistic"]
