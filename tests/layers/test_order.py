"""The order in which layers run, where they share memory: max-pooling before activations, activations in place."""

from __future__ import annotations

import numpy as np
import pytest

from tests import naive, naive_layers
from tests.layers.networks import Array, batch, check_gradients, loss, network

FUNCTIONS = {
    "relu": naive.relu,
    "leaky_relu": naive.leaky_relu,
    "sigmoid": naive.sigmoid,
    "tanh": naive.tanh,
    "elu": naive_layers.elu,
    "selu": naive_layers.selu,
    "softplus": naive_layers.softplus,
    "gelu": naive_layers.gelu,
    "silu": naive_layers.silu,
}
FALLING = {"gelu", "silu"}  # somewhere


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("pool", ["max_pool2d: 2", "max_pool2d: {kernel_size: 3, stride: 2, padding: 1}"])
def test_max_pooling_after_an_activation(name: str, pool: str) -> None:
    layers = f"- conv2d: {{filters: 4, kernel_size: 3}}\n- {name}\n- {pool}\n- dense: classes"
    net = network(layers, (1, 9, 8), images=19)
    x, labels = batch(net, 19)
    loss(net, x, labels)
    values = {parameter.name: parameter.value for parameter in net.parameters}
    z = naive.conv2d(x, values["0.conv2d.weight"], values["0.conv2d.bias"])
    size, padding = (2, 0) if pool.endswith("2") else (3, 1)
    pooled, _ = naive.max_pool2d(FUNCTIONS[name](z), size, stride=2, padding=padding)
    dense = net.parameters[2]
    expected = naive.dense(pooled.reshape(19, -1), dense.canonical(dense.value), values["3.dense.bias"])
    np.testing.assert_allclose(net.logits(), expected, rtol=1e-10, atol=1e-12)
    order = [path for path, _ in net.layers()]
    swapped = ["0.conv2d", "2.max_pool2d", f"1.{name}", "3.dense"]
    assert order == (swapped if name not in FALLING else ["0.conv2d", f"1.{name}", "2.max_pool2d", "3.dense"])


def test_average_pooling_and_layers_between_stay_where_they_are() -> None:
    layers = "- tanh\n- avg_pool2d: 2\n- tanh\n- dropout: 0.5\n- max_pool2d: 2\n- dense: classes"
    assert [path for path, _ in network(layers, (2, 8, 8), images=3).layers()] == [
        "0.tanh", "1.avg_pool2d", "2.tanh", "3.dropout", "4.max_pool2d", "5.dense",
    ]  # fmt: skip


def test_pooling_passes_several_activations_and_poolings() -> None:
    layers = "- tanh\n- sigmoid\n- max_pool2d: 2\n- max_pool2d: 2\n- dense: classes"
    net = network(layers, (2, 8, 8), images=17)
    assert [path for path, _ in net.layers()][:4] == ["2.max_pool2d", "3.max_pool2d", "0.tanh", "1.sigmoid"]
    assert check_gradients(net, 17) == ["input", "4.dense.weight", "4.dense.bias"]


# Each is a way in which a gradient, or an output, could be overwritten while somebody still needs it.
SHARED = {
    "the shortcut needs what the body's last layer gets": "- residual: [conv2d: {filters: 3, kernel_size: 1}, tanh]",
    "the gradient comes out of a repeat": """
- residual: [conv2d: {filters: 3, kernel_size: 1}, tanh]
- repeat: {times: 2, layers: [conv2d: {filters: 3, kernel_size: 1}, tanh]}""",
    "a repeat begins with an activation": "- repeat: {times: 3, layers: [tanh, sigmoid]}",
    "the body is an activation": "- residual: [tanh]\n- residual: {body: [tanh], shortcut: [sigmoid]}",
    "branches see the same input": """
- branches: {sequences: [[tanh], [sigmoid, tanh], []], merge: add}
- branches: {sequences: [[tanh], [residual: [batch_norm2d, tanh]], []]}""",
    "an activation behind what passes its input through": """
- residual: [flatten, tanh]
- branches: {sequences: [[repeat: {times: 1, layers: [flatten]}, tanh], [tanh]], merge: add}""",
    "normalisation over the gradient": "- batch_norm2d\n- tanh\n- batch_norm2d\n- local_response_norm: 3\n- tanh",
    "learned slopes": "- conv2d: {filters: 3, kernel_size: 1}\n- tanh\n- prelu\n- tanh",
}


@pytest.mark.parametrize("layers", SHARED.values(), ids=SHARED)
def test_gradients_where_layers_share_memory(layers: str) -> None:
    beginning, end = "- conv2d: {filters: 3, kernel_size: 3, padding: 1}\n- tanh\n", "\n- dense: classes"
    net = network(beginning + layers.strip("\n") + end, (2, 4, 5), images=17)
    seen = check_gradients(net, 17, most=15)
    assert seen == ["input", *(parameter.name for parameter in net.parameters)]


def test_every_output_is_shown_before_it_is_overwritten() -> None:
    net = network(
        "- conv2d: {filters: 3, kernel_size: 3}\n- relu\n- batch_norm2d\n- dense: classes", (2, 5, 5), images=3
    )
    x, labels = batch(net, 3)
    first = loss(net, x, labels)
    shown: dict[str, Array] = {}
    statistics = {statistic.name: statistic.value.copy() for statistic in net.statistics}
    net.watch(lambda path, output: shown.update({path: output.copy()}))
    assert list(shown) == ["0.conv2d", "1.relu", "2.batch_norm2d", "3.dense"]
    assert (shown["0.conv2d"] < 0).any()
    np.testing.assert_array_equal(shown["1.relu"], np.maximum(shown["0.conv2d"], 0))
    assert all((statistic.value == statistics[statistic.name]).all() for statistic in net.statistics)
    assert net.loss(labels) == first
