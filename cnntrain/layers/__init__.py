"""The layers; a new one is a file here and a line in the list below."""

from __future__ import annotations

from cnntrain.layers.activations import Activation, ActivationSettings, Kernel, LeakyRelu, Relu, Sigmoid, Tanh
from cnntrain.layers.avg_pool2d import AvgPool2d
from cnntrain.layers.base import Layer, LayerRow
from cnntrain.layers.batch import Batch
from cnntrain.layers.batch_norm2d import BatchNorm2d
from cnntrain.layers.branches import Branches
from cnntrain.layers.context import LayerContext
from cnntrain.layers.conv2d import Conv2d
from cnntrain.layers.dense import Dense
from cnntrain.layers.dropout import Dropout
from cnntrain.layers.elu import Elu, Selu
from cnntrain.layers.flatten import Flatten
from cnntrain.layers.gelu import Gelu
from cnntrain.layers.global_avg_pool2d import GlobalAvgPool2d
from cnntrain.layers.local_response_norm import LocalResponseNorm
from cnntrain.layers.max_pool2d import MaxPool2d
from cnntrain.layers.prelu import Prelu
from cnntrain.layers.registry import LAYERS
from cnntrain.layers.repeat import Repeat
from cnntrain.layers.residual import Residual
from cnntrain.layers.settings import LayerSettings
from cnntrain.layers.silu import Silu
from cnntrain.layers.softplus import Softplus
from cnntrain.parameters import Parameter, Statistic
from cnntrain.shape import Shape

_BUILT_IN: tuple[type[Layer], ...] = (
    Conv2d, Dense, MaxPool2d, AvgPool2d, GlobalAvgPool2d, BatchNorm2d, LocalResponseNorm, Dropout, Flatten,
    Residual, Branches, Repeat,
    Relu, LeakyRelu, Prelu, Elu, Selu, Gelu, Silu, Softplus, Sigmoid, Tanh,
)  # fmt: skip
LAYERS.update((layer.name, layer) for layer in _BUILT_IN)

__all__ = [
    "LAYERS",
    "Activation",
    "ActivationSettings",
    "Batch",
    "Kernel",
    "Layer",
    "LayerContext",
    "LayerRow",
    "LayerSettings",
    "Parameter",
    "Shape",
    "Statistic",
]
