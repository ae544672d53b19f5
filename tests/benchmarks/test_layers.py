"""What the settings of a layer mean to peers: windows, paddings, divisors and orders, against naive loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.networks import layer
from benchmarks.peers.cnntrain_peer import drawn
from benchmarks.peers.layers import Run, Window, prepared
from cnntrain.config import infer_shapes, parse_config
from cnntrain.shape import Shape
from tests import naive, naive_layers

IMAGE = (3, 9, 8)
HEAD = "data: {source: npz, path: x}\noptimizer: {sgd: 0.1}\nnetwork:\n"


def planned(text: str) -> list[dict[str, Any]]:
    config = parse_config(
        HEAD + "".join(f"  - {line}\n" for line in [*text.split(" | "), "dense: classes"]), "test.yaml"
    )
    return [layer(row) for row in infer_shapes(config, Shape(*IMAGE), 4)]


class Naive:
    """The operations by naive loops, on (N, C, H, W) inside, whatever the order outside."""

    def __init__(self, layout: str) -> None:
        self.format = layout

    def inside(self, x: Any) -> Any:
        return x.transpose(0, 3, 1, 2) if self.format == "NHWC" and x.ndim == 4 else x

    def outside(self, x: Any) -> Any:
        return x.transpose(0, 2, 3, 1) if self.format == "NHWC" and x.ndim == 4 else x

    def padded(self, x: Any, window: Window, blank: float) -> Any:
        return np.pad(self.inside(x), ((0, 0), (0, 0), *window.padding), constant_values=blank)

    def convolution(self, x: Any, weight: Any, window: Window) -> Any:
        filters = weight.transpose(3, 2, 0, 1)
        y = naive.conv2d(
            self.padded(x, window, 0.0), filters, stride=window.stride, dilation=window.dilation, groups=window.groups
        )
        return self.outside(y)

    def convolution_weight(self, weight: Any, window: Window) -> Any:
        return weight.transpose(2, 3, 1, 0)

    def add_bias(self, x: Any, bias: Any) -> Any:
        return self.outside(self.inside(x) + bias[:, None, None])

    def max_pool(self, x: Any, window: Window) -> Any:
        return self.outside(naive.max_pool2d(self.padded(x, window, -1e9), window.size, stride=window.stride)[0])

    def sum_pool(self, x: Any, window: Window) -> Any:
        area = window.size[0] * window.size[1]
        return self.outside(
            naive_layers.avg_pool2d(self.padded(x, window, 0.0), window.size, stride=window.stride) * area
        )

    def matrix(self, x: Any, weight: Any) -> Any:
        return x @ weight

    def flat(self, x: Any) -> Any:
        return x.reshape(len(x), -1)

    def mean(self, x: Any) -> Any:
        return self.inside(x).mean((2, 3))

    def batch_norm(self, x: Any, scale: Any, shift: Any, running: Any, epsilon: float, *, training: bool) -> Any:
        y, mean, variance = naive_layers.batch_norm2d(self.inside(x), scale, shift, epsilon)
        return self.outside(y), mean, variance

    def relu(self, x: Any) -> Any:
        return naive.relu(x)

    def tanh(self, x: Any) -> Any:
        return np.tanh(x)

    def subsampled(self, x: Any, strides: Any, channels: int) -> Any:
        short = self.inside(x)[:, :, :: strides[0], :: strides[1]]
        return self.outside(np.pad(short, ((0, 0), (0, channels), (0, 0), (0, 0))))


NETWORKS = [
    "conv2d: {filters: 4, kernel_size: [2, 4], padding: same}",
    "conv2d: {filters: 6, kernel_size: 3, padding: [2, 1], stride: [2, 1], dilation: [1, 2], groups: 3}",
    "max_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}",
    "avg_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}",
    "avg_pool2d: {kernel_size: 3, stride: 2, padding: 1, ceil_mode: true, count_padding: true}",
    "avg_pool2d: {kernel_size: 2, padding: 1, count_padding: false}",
    "conv2d: {filters: 4, kernel_size: 3} | tanh | max_pool2d: 2 | dense: 5 | relu",
    "residual: {body: [{conv2d: {filters: 5, kernel_size: 3, padding: 1, stride: 2}}], shortcut: zero_padded}",
    "residual: {body: [relu], shortcut: [{conv2d: {filters: 3, kernel_size: 1}}]} | batch_norm2d | global_avg_pool2d",
]


@pytest.mark.parametrize("text", NETWORKS)
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_a_network_means_the_same_to_peers(text: str, layout: str) -> None:
    """Against the network itself, in float64."""
    from cnntrain.network import AsTheyAre, Network

    config = parse_config(
        HEAD + "".join(f"  - {line}\n" for line in [*text.split(" | "), "dense: classes"]), "test.yaml"
    )
    network = Network(infer_shapes(config, Shape(*IMAGE), 4), batch_size=2, loss=config.loss, dtype=np.float64)
    state = drawn(network.state())
    network.load_state(state)
    images = np.random.default_rng(3).standard_normal((2, *IMAGE))
    network.load(images, np.arange(2), AsTheyAre(3))
    network.forward(training=True)
    operations = Naive(layout)
    layers = planned(text)
    run = Run(operations, prepared(layers, state, operations), training=True)
    np.testing.assert_allclose(run.sequence(layers, operations.outside(images)), network.logits(), rtol=1e-6, atol=1e-6)
