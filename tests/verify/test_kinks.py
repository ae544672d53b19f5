"""Corners of ReLU and ties of max-pooling are kinks, neither right nor wrong; and nothing passes vacuously."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from cnntrain.layers.activations import Rectifier
from cnntrain.layers.base import Layer
from cnntrain.layers.max_pool2d import MaxPool2d
from cnntrain.network import Network
from cnntrain.verify import TensorCheck, check_gradients
from cnntrain.verify.gradients import STEPS
from cnntrain.verify.probe import Probe
from tests.verify.networks import batch, build, check, verdicts


def on_one_image(network: Network, image: np.ndarray) -> dict[str, TensorCheck]:
    images = image.reshape(1, *network.input_shape)
    return {found.name: found for found in check_gradients(network, images, np.array([2]), samples=100)}


def one_to_one(layer: str) -> Network:
    """Build a network whose first convolution passes the image on as it is."""
    network = build(f"[conv2d: {{filters: 1, kernel_size: 1}}, {layer}]", (1, 2, 4))
    network.parameters[0].value[...], network.parameters[1].value[...] = 1, 0
    return network


@pytest.mark.parametrize("layer", ["relu", "leaky_relu: 0.2", "max_pool2d: 2"])
def test_a_kink_is_counted_not_failed(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rectifier = "relu" in layer
    # ReLU: the second pixel is exactly zero. Pooling: the first window has two pixels of the same size.
    image = np.array([[0.5, 0.0, -1, 2], [1, 2, -3, 4]] if rectifier else [[5.0, 5, 1, 2], [1, 2, 3, 4]])
    checks = on_one_image(one_to_one(f"{{{layer}}}" if ":" in layer else layer), image)
    assert checks["input"].verdict == "ok"
    assert (checks["input"].checked, checks["input"].kinks) == ((7, 1) if rectifier else (6, 2))
    assert "WRONG" not in verdicts(checks).values()

    # Without the layer's decisions the check would cry wolf: the case is a kink indeed.
    monkeypatch.setattr(Rectifier if rectifier else MaxPool2d, "decisions", Layer.decisions)
    checks = on_one_image(one_to_one(f"{{{layer}}}" if ":" in layer else layer), image)
    assert (checks["input"].verdict, checks["input"].wrong) == ("WRONG", 1 if rectifier else 2)


@pytest.mark.parametrize("distance", [0.5, -0.5])
def test_near_a_kink_the_smaller_step_decides(distance: float) -> None:
    """A corner that lies within the larger step, but outside the smaller one, does not cost an entry."""
    at = distance * (STEPS[0] + STEPS[1]) / 2
    checks = on_one_image(one_to_one("relu"), np.array([[0.5, at, -1, 2], [1, 2, -3, 4]]))
    assert (checks["input"].verdict, checks["input"].checked, checks["input"].kinks) == ("ok", 8, 0)


def test_lanes_without_an_image_make_no_kinks() -> None:
    """An empty lane holds z = bias = 0, where every ReLU is at its corner."""
    network = one_to_one("relu")
    checks = on_one_image(network, np.arange(1.0, 9).reshape(2, 4))
    bias = checks["0.conv2d.bias"]
    assert (bias.verdict, bias.checked, bias.kinks, bias.moved) == ("ok", 1, 0, False)
    ((path, decisions),) = network.decisions()
    assert path == "1.relu"
    assert decisions.shape == (1, 8, 16)
    assert decisions[:, :, 0].all()
    assert not decisions[:, :, 1:].any()


def test_other_entries_are_tried_in_place_of_kinks() -> None:
    network = build("[relu, dense: 5, tanh]", (1, 20, 20))
    images, labels = batch(network, 1)
    images[:, :, :, ::2] = 0  # half of all pixels
    found = check_gradients(network, images, labels, samples=12)[0]
    assert (found.verdict, found.checked) == ("ok", 12)
    assert found.kinks > 0


def test_a_blank_image_with_zero_biases_is_decided_next_to_it() -> None:
    """What a config with ReLU, black background and zero biases does: every filter's bias is at a corner."""
    network = build("[conv2d: {filters: 4, kernel_size: 3}, relu, conv2d: {filters: 6, kernel_size: 3}, relu]")
    for parameter in network.parameters:
        if parameter.name.endswith("bias"):
            parameter.value[...] = 0
    images, labels = batch(network)
    images[:, :, :, :4] = 0
    checks = {found.name: found for found in check_gradients(network, images, labels)}
    bias = checks["0.conv2d.bias"]
    assert (bias.verdict, bias.moved) == ("ok", True)
    assert bias.kinks >= 4
    assert bias.checked > 0
    assert not checks["4.dense.weight"].moved


def test_nothing_but_kinks_is_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    def alternating() -> Iterator[bool]:
        while True:
            yield from (True, False)

    answers = alternating()
    monkeypatch.setattr(Probe, "_decides_as_before", lambda probe: next(answers))
    checks = check(build("[dense: 5, tanh]"))
    assert set(verdicts(checks).values()) == {"not decided"}
    assert checks["0.dense.weight"].kinks == 4 * 12
    assert checks["0.dense.bias"].kinks == 5
    assert checks["0.dense.bias"].worst is None
    assert not checks["0.dense.bias"].moved


def test_units_that_are_always_off_have_zero_gradients() -> None:
    network = build("[dense: {units: 5}, relu]")
    network.parameters[1].value[...] = -100
    found = verdicts(check(network))
    assert found == {
        "input": "zero",
        "0.dense.weight": "zero",
        "0.dense.bias": "zero",
        "2.dense.weight": "zero",
        "2.dense.bias": "ok",
    }


def test_gradients_behind_zero_weights_are_checked_next_to_them() -> None:
    network = build("[dense: 5, tanh]")
    network.parameters[2].value[...] = 0
    checks = check(network)
    assert set(verdicts(checks).values()) == {"ok"}
    assert {name for name, found in checks.items() if found.moved} == {"input", "0.dense.weight", "0.dense.bias"}


def test_a_gradient_too_small_for_differences_is_not_called_right() -> None:
    network = build("[dense: 5, tanh]")
    network.parameters[-1].value[...] = [0, 0, 60, 0]  # sure of class 2: the loss has no slope left
    network.parameters[-2].value[...] *= 1e-3
    images, _ = batch(network)
    checks = check_gradients(network, images, np.full(len(images), 2))
    assert checks[1].worst is not None
    assert abs(checks[1].worst.analytic) < 1e-20
    assert checks[1].verdict == "zero"


def test_the_last_step_is_for_kinks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is too rough to acquit a gradient that two better steps call wrong."""
    taken = []

    def difference(probe: Probe, tensor: object, place: int, step: float) -> float:
        taken.append(step)
        return 123.0

    monkeypatch.setattr(Probe, "difference", difference)
    checks = check(build("[dense: 5, tanh]"), samples=1)
    assert set(verdicts(checks).values()) == {"WRONG"}
    factors = {round(np.log10(step)) for step in taken if step < 1e-4}
    assert min(factors) == -6
    taken.clear()
    monkeypatch.setattr(Probe, "difference", lambda probe, tensor, place, step: taken.append(step))
    check(build("[dense: 5, tanh]"), samples=1)
    assert min(round(np.log10(step)) for step in taken) == -7
