"""What of a network is timed: each pass of each layer once, whichever way it runs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from cnntrain.bench.timing import Stopwatch
from cnntrain.network import Network
from tests.layers.networks import batch, loss, network

LAYERS = """
- conv2d: {filters: 4, kernel_size: 3}
- tanh
- max_pool2d: 2
- residual: [conv2d: {filters: 4, kernel_size: 3, padding: 1}]
- dense: classes
"""
SHAPES = {"0.conv2d": "2→4 3x3 on 8x8", "3.residual.body.0.conv2d": "4→4 3x3 on 3x3", "4.dense": "36→3"}


def step(net: Network) -> Counter[tuple[str, str]]:
    """What a stopwatch finds in one step."""
    watch: Stopwatch[tuple[str, str]] = Stopwatch()
    with watch.patched(*[((timed.path, timed.name), timed.target, timed.method) for timed in net.body.timed()]):
        loss(net, *batch(net, 20))
        net.backward()
    watch.end_step()
    return Counter(watch.steps[0].keys())


@pytest.mark.parametrize("fusions", [True, False])
def test_layers_say_what_is_worth_timing(fusions: bool) -> None:
    net = network(LAYERS, (2, 8, 8), images=20, dtype=np.float32, needs_grad_input=False, fusions=fusions)
    found = step(net)
    together = {("2.max_pool2d", "forward"), ("2.max_pool2d", "backward")} if fusions else set()
    expected = {
        *((name, way) for name in SHAPES for way in ("forward", "to input", "to weights")),
        *((name, way) for name in ("1.tanh", "2.max_pool2d", "3.residual") for way in ("forward", "backward")),
    }
    assert found.keys() == expected - {("0.conv2d", "to input")} - together
    for timed in net.body.timed():
        assert timed.shape == SHAPES.get(timed.path, "")
        assert (timed.macs > 0) == (timed.path in SHAPES)
    macs = {timed.path: timed.macs for timed in net.body.timed()}
    assert macs["0.conv2d"] == 6 * 6 * 4 * 2 * 9
    assert macs["3.residual.body.0.conv2d"] == (3 * 3 - 2) ** 2 * 4 * 4  # taps on the padding left out
    assert macs["4.dense"] == 36 * 3
