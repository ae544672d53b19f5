from __future__ import annotations

import numpy as np
import pytest

from cnntrain.config import infer_shapes, parse_config
from cnntrain.data import Normalization
from cnntrain.network import Network
from cnntrain.shape import Shape
from cnntrain.training.divergence import where_not_finite

CONFIG = """
data: {source: npz, path: x}
network: [conv2d: {filters: 2, kernel_size: 3}, tanh, dense: 5, dense: classes]
optimizer: {sgd: 0.1}
"""
LABELS = np.array([0, 1, 2])


@pytest.fixture
def network() -> Network:
    config = parse_config(CONFIG, "test.yaml")
    return Network(infer_shapes(config, Shape(1, 5, 5), 3), batch_size=3, loss=config.loss)


def step(network: Network) -> None:
    images = np.arange(75, dtype=np.uint8).reshape(3, 1, 5, 5)
    network.load(images, np.arange(3), Normalization(np.zeros(1, np.float32), np.ones(1, np.float32), 255.0))
    network.forward(training=True)
    network.loss(LABELS)


def parameter(network: Network, name: str) -> tuple[np.ndarray, np.ndarray]:
    found = next(parameter for parameter in network.parameters if parameter.name == name)
    return found.value, found.gradient


def test_a_parameter_that_the_update_broke(network: Network) -> None:
    parameter(network, "2.dense.weight")[0][1, 2:4] = np.nan, np.inf
    step(network)
    assert where_not_finite(network) == (
        "parameter 2.dense.weight holds 1 NaN and 1 infinite of 90 values after the previous update "
        "(its gradient was finite: the update was too large)"
    )


def test_a_parameter_whose_gradient_was_broken(network: Network) -> None:
    value, gradient = parameter(network, "3.dense.bias")
    value[0], gradient[0] = np.nan, np.nan
    step(network)
    assert where_not_finite(network) == (
        "parameter 3.dense.bias holds 1 NaN of 3 values after the previous update (its gradient already did)"
    )


def test_an_output_that_overflows(network: Network) -> None:
    parameter(network, "2.dense.bias")[0][4] = 3e38
    parameter(network, "3.dense.weight")[0][:, 4] = 1e30
    step(network)
    found = where_not_finite(network)
    assert found.startswith("the output of layer 3.dense holds ")
    assert found.endswith(" values, from finite parameters and inputs")


def test_nothing_but_the_loss(network: Network) -> None:
    step(network)
    assert where_not_finite(network) == "the loss itself; all parameters and outputs of layers are finite"
