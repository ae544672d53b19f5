"""The kernels as plain functions on NumPy arrays (image, channel, row, column): what a learner or a test calls."""

from cnntrain.functional.activations import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from cnntrain.functional.averages import avg_pool2d, avg_pool2d_backward
from cnntrain.functional.convolution import conv2d, conv2d_backward
from cnntrain.functional.dense import dense, dense_backward
from cnntrain.functional.losses import cross_entropy, hinge, mse, multi_margin
from cnntrain.functional.normalization import batch_norm2d, batch_norm2d_backward
from cnntrain.functional.pooling import max_pool2d, max_pool2d_backward

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm2d",
    "batch_norm2d_backward",
    "conv2d",
    "conv2d_backward",
    "cross_entropy",
    "dense",
    "dense_backward",
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "hinge",
    "leaky_relu",
    "leaky_relu_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mse",
    "multi_margin",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
]
