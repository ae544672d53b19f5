"""Every layer at work: what `tests/layers/test_every_layer.py` checks the gradients of.

One line per registered layer, which fails without: YAML settings that exercise it, and the image that it is given.
Where a layer has corners (ReLU, max-pooling), the images are far from them or lie there with probability zero. All have
3 channels: the convolution before each then takes the same compiled forms.
"""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """A layer as it stands in the YAML, and the shape of its input."""

    yaml: str
    shape: tuple[int, int, int]


EXAMPLES: dict[str, list[Example]] = {
    "conv2d": [
        Example("conv2d: {filters: 6, kernel_size: [3, 2], stride: [2, 1], padding: 1, groups: 3}", (3, 5, 4)),
        Example("conv2d: {filters: 4, kernel_size: 3, dilation: 2, padding: 2, mode: convolution}", (3, 5, 4)),
        Example("conv2d: {filters: 3, kernel_size: 3, stride: [2, 1], padding: 1, groups: 3}", (3, 5, 4)),
    ],
    "dense": [Example("dense: 5", (3, 3, 2))],
    "max_pool2d": [Example("max_pool2d: {kernel_size: 3, stride: 2, padding: 1, ceil_mode: true}", (3, 6, 5))],
    "avg_pool2d": [
        Example("avg_pool2d: {kernel_size: 3, stride: 2, padding: 1, ceil_mode: true}", (3, 6, 5)),
        Example("avg_pool2d: {kernel_size: [2, 3], stride: 2, padding: 1, count_padding: false}", (3, 6, 5)),
    ],
    "global_avg_pool2d": [Example("global_avg_pool2d", (3, 4, 3))],
    "batch_norm2d": [
        Example("batch_norm2d", (3, 4, 3)),
        Example("batch_norm2d: {scale: false, epsilon: 0.1}", (3, 4, 3)),
    ],
    "local_response_norm": [
        Example("local_response_norm: {size: 3, alpha: 0.5, k: 2.0}", (3, 3, 3)),
        Example("local_response_norm: {size: 3, alpha: 0.5, region: within_channel}", (3, 4, 4)),
    ],
    "dropout": [Example("dropout: 0.3", (3, 3, 4))],
    "prelu": [Example("prelu", (3, 3, 4)), Example("prelu: {shared: true}", (3, 3, 4))],
    "elu": [Example("elu: 0.5", (3, 3, 4))],
    "selu": [Example("selu", (3, 3, 4))],
    "gelu": [Example("gelu", (3, 3, 4)), Example("gelu: tanh", (3, 3, 4))],
    "silu": [Example("silu", (3, 3, 4))],
    "softplus": [Example("softplus: 2.0", (3, 3, 4))],
    "relu": [Example("relu", (3, 3, 4))],
    "leaky_relu": [Example("leaky_relu: 0.2", (3, 3, 4))],
    "sigmoid": [Example("sigmoid", (3, 3, 4))],
    "tanh": [Example("tanh", (3, 3, 4))],
    "flatten": [Example("flatten", (3, 3, 4))],
    "residual": [
        Example("residual: {body: [tanh, conv2d: {filters: 3, kernel_size: 1}]}", (3, 3, 4)),
        Example(
            "residual: {body: [conv2d: {filters: 4, kernel_size: 1, stride: 2}], shortcut: zero_padded}", (3, 5, 4)
        ),
    ],
    "branches": [
        Example("branches: [[tanh], [], [conv2d: {filters: 3, kernel_size: 1}]]", (3, 3, 4)),
        Example("branches: {sequences: [[tanh], [], [sigmoid]], merge: add}", (3, 3, 4)),
    ],
    "repeat": [Example("repeat: {times: 2, layers: [conv2d: {filters: 3, kernel_size: 2}, tanh]}", (3, 4, 4))],
}
