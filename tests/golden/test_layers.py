"""Layers against stored values that PyTorch computed in float64 (`make_layers.py`)."""

from __future__ import annotations

import numpy as np
import pytest

from cnntrain.config import parse_config
from tests.functional.arrays import Array
from tests.golden import checks
from tests.golden.layer_cases import LAYERS
from tests.layers.single import Single


def single(name: str, x: Array) -> Single:
    """The layer, its settings read as from YAML."""
    layer, settings, _ = LAYERS[name]
    text = f"data: {{source: mnist, path: none}}\noptimizer: {{sgd: 0.1}}\nnetwork: [{{{layer}: {settings}}}]\n"
    config = parse_config(text.replace("True", "true").replace("False", "false"), "golden.yaml")
    return Single.of(config.network[0], x)


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    expected = checks.load("layers")[name]
    layer = single(name, expected["x"])
    learned = [parameter.name.rpartition(".")[2] for parameter in layer.layer.parameters]
    for tensor in learned:
        layer.value(tensor)[...] = expected[tensor]
    y = layer.forward(expected["x"])
    np.testing.assert_allclose(y, expected["y"], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(layer.backward(expected["grad_output"]), expected["grad_input"], **checks.CLOSE)
    for tensor in learned:
        np.testing.assert_allclose(layer.gradient(tensor), expected[f"grad_{tensor}"], err_msg=tensor, **checks.CLOSE)


def test_running_statistics_of_batch_norm2d() -> None:
    expected = checks.load("layers")["batch_norm2d"]
    layer = single("batch_norm2d", expected["batch0"])
    layer.value("scale")[...], layer.value("shift")[...] = expected["scale"], expected["shift"]
    for i in range(3):
        layer.forward(expected[f"batch{i}"])
        for name in ("running_mean", "running_variance"):
            np.testing.assert_allclose(layer.value(name), expected[f"{name}{i}"], err_msg=name, **checks.CLOSE)
    y = layer.forward(expected["batch0"], training=False)
    np.testing.assert_allclose(y, expected["evaluated"], **checks.CLOSE)
