"""Every formula against the kernels, element by element, and against central differences."""

from __future__ import annotations

import numpy as np
import pytest

from cnntrain.explain.difference import Differences
from cnntrain.explain.terms import formulas_of
from cnntrain.explain.trace import LayerTrace, Trace, trace
from tests.layers.networks import batch, network

NETWORKS = {
    "plain": """
- conv2d: {filters: 4, kernel_size: 3, padding: 1}
- relu
- max_pool2d: {kernel_size: 3, stride: 2, padding: 1}
- dropout: 0.25
- conv2d: {filters: 4, kernel_size: [3, 2], stride: [2, 1], padding: [1, 0], mode: convolution, bias: false}
- tanh
- flatten
- dense: classes
""",
    "windows": """
- conv2d: {filters: 4, kernel_size: 3, dilation: 2, padding: 2, groups: 2, mode: convolution}
- leaky_relu
- avg_pool2d: {kernel_size: 3, stride: 2, padding: 1, ceil_mode: true}
- prelu
- avg_pool2d: {kernel_size: 2, stride: 2, padding: 1, count_padding: false}
- prelu: {shared: true}
- global_avg_pool2d
- dense: {units: classes, bias: false}
""",
    "norms": """
- batch_norm2d
- elu
- local_response_norm: {size: 3, alpha: 0.5}
- selu
- local_response_norm: {size: 3, alpha: 0.5, region: within_channel, k: 2.0}
- gelu
- batch_norm2d: {frozen: true}
- gelu: tanh
- batch_norm2d: {scale: false, shift: false}
- silu
- dense: 5
- softplus: 2.0
- sigmoid
- dense: classes
""",
    "nested": """
- residual: [flatten, conv2d: {filters: 2, kernel_size: 3, padding: 1}, tanh]
- branches: [[conv2d: {filters: 2, kernel_size: 1}], [], [max_pool2d: {kernel_size: 3, stride: 1, padding: 1}]]
- residual: {body: [conv2d: {filters: 8, kernel_size: 3, padding: 1, stride: 2}], shortcut: zero_padded}
- residual: {body: [tanh], shortcut: [conv2d: {filters: 8, kernel_size: 1}]}
- branches: {sequences: [[tanh], [], [residual: [conv2d: {filters: 8, kernel_size: 1}, relu]]], merge: add}
- repeat: {times: 2, layers: [conv2d: {filters: 8, kernel_size: 1}, relu]}
- dense: classes
""",
}


def traced(name: str, images: int) -> Trace:
    net = network(NETWORKS[name], (2, 7, 6), images=images, fusions=False)
    generator = np.random.default_rng(4)
    for parameter in net.parameters:
        parameter.value += 0.1 * generator.standard_normal(parameter.value.shape)
    return trace(net, *batch(net, images), step=3)


def places(array: np.ndarray, most: int = 12) -> list[tuple[int, ...]]:
    chosen = np.random.default_rng(5).choice(array.size, min(array.size, most), replace=False)
    return [tuple(map(int, np.unravel_index(place, array.shape))) for place in chosen]


def check(layer: LayerTrace, step: int) -> None:
    formulas = formulas_of(layer, step)
    assert formulas is not None
    assert layer.grad_input is not None
    for place in places(layer.output):
        made = formulas.value(place)  # type: ignore[arg-type]
        made.check(layer.path)
        np.testing.assert_allclose(made.last.value, layer.output[place], rtol=1e-10, atol=1e-12)
    for place in places(layer.input):
        made = formulas.delta(place)  # type: ignore[arg-type]
        made.check(layer.path)
        np.testing.assert_allclose(made.last.value, layer.grad_input[place], rtol=1e-9, atol=1e-13)
    for name, parameter in layer.parameters.items():
        if not parameter.parameter.frozen:
            for index in places(parameter.value):
                made = formulas.gradient(name, index)
                made.check(layer.path)
                np.testing.assert_allclose(made.last.value, parameter.gradient[index], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_sum_is_the_kernels_number(name: str, images: int) -> None:
    made = traced(name, images)
    for layer in made.walk():
        check(layer, made.step)


@pytest.mark.parametrize("name", ["plain", "norms", "nested"])
def test_central_differences_agree_at_every_depth(name: str) -> None:
    images = 3
    net = network(NETWORKS[name], (2, 7, 6), images=images, fusions=False)
    made = trace(net, *batch(net, images), step=3)
    differences = Differences(net, made)
    compared = 0
    for layer in made.walk():
        assert layer.grad_input is not None
        for place in places(layer.input, 3):
            found = differences.of_input(layer, place)
            assert found.agrees or found.value is None, (layer.path, place, found, layer.grad_input[place])
            compared += found.value is not None
        for parameter in layer.parameters.values():
            if not parameter.parameter.frozen:
                for index in places(parameter.value, 2):
                    assert differences.of_parameter(parameter, index).agrees, (layer.path, parameter.name, index)
    assert differences.of_logit(1, 2).agrees
    assert compared > 20
    again = trace(net, *batch(net, images), step=3)
    assert again.loss == made.loss
