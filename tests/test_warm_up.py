"""Compiling ahead: in which order, by which of two processes, and that nothing is changed by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain.layers import Layer
from cnntrain.network import Network
from cnntrain.passes.workspace import workspace
from cnntrain.warm_up import help_warm_up, needed, warm_up
from tests.layers.networks import batch, loss, network

LAYERS = "- dense: 5\n- batch_norm2d\n- tanh\n- dense: classes"
NAMES = ["0.dense", "1.batch_norm2d", "2.tanh", "3.dense"]


def spied(monkeypatch: pytest.MonkeyPatch) -> tuple[Network, list[str]]:
    """A network, and what runs on it in which order."""
    net = network(LAYERS, (2, 3, 3), images=20)
    seen: list[str] = []

    def spy(target: object, method: str, name: str) -> None:
        function = getattr(target, method)

        def spying(*arguments: Any, **named: Any) -> Any:
            seen.append(name)
            return function(*arguments, **named)

        monkeypatch.setattr(target, method, spying)

    layers: list[tuple[str, Layer]] = list(net.layers())
    for path, layer in layers:
        spy(layer, "forward", f"{path} forward")
        spy(layer, "backward", f"{path} backward")
    for name in ("load", "logits", "loss"):
        spy(net, name, name)
    return net, seen


def test_the_order_in_which_one_process_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    net, seen = spied(monkeypatch)
    warm_up(net, np.float64)
    expected = ["load", "logits", "0.dense forward", "0.dense backward", "loss"]
    expected += [f"{name} {way}" for name in NAMES[:0:-1] for way in ("forward", "backward")]
    expected += 2 * [f"{name} forward" for name in NAMES] + ["loss"] + [f"{name} backward" for name in NAMES[::-1]]
    assert seen == expected


def test_the_order_of_the_process_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    net, seen = spied(monkeypatch)
    help_warm_up(net)
    assert seen == [*(f"{name} {way}" for name in NAMES[1:] for way in ("forward", "backward")), "loss"]


def test_state_and_gradients_are_as_before() -> None:
    net = network(LAYERS, (2, 3, 3), images=20)
    loss(net, *batch(net, 20))
    net.backward()
    state, gradients = net.state(), [parameter.gradient.copy() for parameter in net.parameters]
    assert any(gradient.any() for gradient in gradients)
    warm_up(net, np.float64)
    for name, value in net.state().items():
        np.testing.assert_array_equal(value, state[name], err_msg=name)
    for parameter, gradient in zip(net.parameters, gradients, strict=True):
        np.testing.assert_array_equal(parameter.gradient, gradient, err_msg=parameter.name)


def test_a_network_without_a_loss_compiles_forward_only(monkeypatch: pytest.MonkeyPatch) -> None:
    net, seen = spied(monkeypatch)
    monkeypatch.setattr(net, "_loss", None)
    warm_up(net, np.float64)
    assert seen == ["load", "logits", *(2 * [f"{name} forward" for name in NAMES])]


def test_counting_what_is_needed_disturbs_no_sum_that_is_under_way() -> None:
    """The count is made when the first kernel compiles, which may be in the middle of a pass."""
    owner, kind = object(), np.dtype(np.float32)
    workspace.lend("partial", 4, kind, owner)[:] = [1, 2, 3, 4]
    needed(lambda: workspace.lend("partial", 4, kind, object()).fill(0))
    assert workspace.lent("partial", 4, kind, owner).tolist() == [1, 2, 3, 4]
