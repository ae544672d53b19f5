"""What of a network is timed: each pass of each layer once, whichever way it runs."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnntrain.bench import network as measuring
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


def test_each_number_of_threads_is_measured_with_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    net, now, turn = network("- dense: classes", (1, 2, 2), images=4), [0], [0]
    with_others = []

    class Peak:
        def measure(self, threads: int) -> float:
            now[0] = threads
            return 1.0

    def work() -> None:
        if turn[0] and now != turn:
            with_others.append((turn[0], now[0]))

    class Meter(measuring._Meter):
        def round(self) -> None:
            turn[0] = self._threads
            super().round()

    def set_threads(threads: int) -> None:
        now[0] = threads

    for name, stand_in in (("Peak", Peak), ("_Meter", Meter), ("set_threads", set_threads)):
        monkeypatch.setattr(measuring, name, stand_in)
    subject: Any = SimpleNamespace(
        network=net, train=work, evaluate=work, optimizer=SimpleNamespace(step=work), config=None
    )
    runs = measuring.measure_network(subject, [1, 2], 1e-3)
    assert ([run.threads for run in runs], with_others) == ([1, 2], [])
