"""Gradients of every registered layer against central differences, in float64, between other layers."""

from __future__ import annotations

import pytest

from cnntrain.layers import LAYERS
from tests.layers.examples import EXAMPLES, Example
from tests.layers.networks import check_gradients, network


@pytest.mark.parametrize("name", LAYERS)
def test_has_an_example(name: str) -> None:
    examples = EXAMPLES.get(name, [])
    assert examples, f"add the layer {name} to EXAMPLES in tests/layers/examples.py"
    assert all(example.yaml.split(":")[0] == name for example in examples)


@pytest.mark.parametrize("example", [example for examples in EXAMPLES.values() for example in examples], ids=str)
def test_gradients(example: Example) -> None:
    # batch normalisation takes a bias before it out again: its gradient would be zero
    bias = str(not example.yaml.startswith("batch_norm2d")).lower()
    convolution = f"conv2d: {{filters: {example.shape[0]}, kernel_size: 1, bias: {bias}}}"
    layers = f"- {convolution}\n- {example.yaml}\n- dense: classes"
    net = network(layers, example.shape, images=17)
    with_gradient = check_gradients(net, 17, most=10)
    assert with_gradient == ["input", *(parameter.name for parameter in net.parameters)]
