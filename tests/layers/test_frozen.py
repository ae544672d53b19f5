from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain.layers.conv2d import Conv2d
from cnntrain.optimizers import OPTIMIZERS
from tests.layers.networks import batch, check_gradients, loss, network

MIDDLE = """
- conv2d: {filters: 3, kernel_size: 3, padding: 1}
- tanh
- conv2d: {filters: 3, kernel_size: 1, frozen: true, weight_decay: 1}
- dense: classes
"""
BEGINNING = """
- residual: [conv2d: {filters: 3, kernel_size: 1, frozen: true}]
- tanh
- dense: classes
"""


def test_a_frozen_layer_passes_gradients_through_and_keeps_its_values() -> None:
    net = network(MIDDLE, (2, 4, 4), images=5)
    learning = ["0.conv2d.weight", "0.conv2d.bias", "3.dense.weight", "3.dense.bias"]
    assert check_gradients(net, 5) == ["input", *learning]
    frozen = [p for p in net.parameters if p.frozen]
    assert [p.name for p in frozen] == ["2.conv2d.weight", "2.conv2d.bias"]
    assert not any(p.gradient.any() for p in frozen)
    settings: Any = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1}
    sgd = OPTIMIZERS["sgd"]
    optimizer = sgd(sgd.Settings(**settings), net.parameters)
    before = {name: value.copy() for name, value in net.state().items()}
    for _ in range(2):
        optimizer.step(0.1)
    after = net.state()
    for name, value in before.items():
        assert np.array_equal(value, after[name]) == name.startswith("2.conv2d"), name


def test_nothing_is_computed_before_the_first_layer_that_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(BEGINNING, (3, 4, 4), images=3, needs_grad_input=False)
    x, labels = batch(net, 3)
    loss(net, x, labels)
    monkeypatch.setattr(Conv2d, "backward", lambda *_: pytest.fail("the backward pass reached a frozen layer"))
    net.backward()
    assert all(p.gradient.any() == (not p.frozen) for p in net.parameters)
    assert len(net.parameters) == 4


def test_the_same_gradients_as_without_freezing() -> None:
    frozen = network(BEGINNING, (3, 4, 4), images=3)
    free = network(BEGINNING.replace(", frozen: true", ""), (3, 4, 4), images=3)
    x, labels = batch(free, 3)
    for net in (frozen, free):
        loss(net, x, labels)
        net.backward()
    for a, b in zip(frozen.parameters, free.parameters, strict=True):
        assert a.frozen == a.name.startswith("0.")
        assert a.frozen or np.array_equal(a.gradient, b.gradient)
    np.testing.assert_array_equal(frozen.grad_input, free.grad_input)
