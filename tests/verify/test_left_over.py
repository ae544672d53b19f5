"""What a layer keeps from a batch before does not pass for right: gradients added to, inputs kept, masks kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain import extensions
from cnntrain.layers import Batch
from cnntrain.layers.batch_norm2d import BatchNorm2d
from cnntrain.layers.conv2d import Conv2d
from cnntrain.layers.max_pool2d import MaxPool2d
from cnntrain.verify import TensorCheck, check_gradients
from tests.layers import networks
from tests.layers.examples import EXAMPLES
from tests.verify.networks import batch, build, check, verdicts, wrong

EXAMPLE = (Path(__file__).parents[2] / "examples" / "my_layers.py").read_text()
LAYERS = "[conv2d: {filters: 2, kernel_size: 3}, tanh, conv2d: {filters: 3, kernel_size: 3}, tanh]"


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(extensions.ENVIRONMENT, "1")
    known = set(sys.modules)
    yield
    extensions._loaded.clear()
    for name in set(sys.modules) - known:
        if name.startswith("cnntrain_extension_"):
            del sys.modules[name]


def check_layer_of_ones_own(file: Path, old: str, new: str) -> dict[str, TensorCheck]:
    assert EXAMPLE.count(old) == 1
    file.write_text(EXAMPLE.replace(old, new))
    layers = "- conv2d: {filters: 2, kernel_size: 3}\n- channel_scale\n- tanh\n- dense: 4"
    network = networks.network(layers, (2, 6, 7), images=20, classes=4, extensions=[str(file)])
    return {found.name: found for found in check_gradients(network, *batch(network))}


def test_a_right_layer_of_ones_own(tmp_path: Path) -> None:
    same = "self._scale.gradient[...] = np.einsum"
    assert set(verdicts(check_layer_of_ones_own(tmp_path / "mine.py", same, same)).values()) == {"ok"}


def test_a_gradient_that_is_added_to(tmp_path: Path) -> None:
    checks = check_layer_of_ones_own(
        tmp_path / "mine.py", "self._scale.gradient[...] = np.einsum", "self._scale.gradient[...] += np.einsum"
    )
    assert wrong(checks) == {"1.channel_scale.scale"}
    worst = checks["1.channel_scale.scale"].worst
    assert worst is not None
    assert np.isnan(worst.analytic)


def test_an_input_kept_from_the_first_batch(tmp_path: Path) -> None:
    kept = 'self._x = x.copy() if not hasattr(self, "_x") else self._x\n        image, output ='
    checks = check_layer_of_ones_own(tmp_path / "mine.py", "self._x = x\n        image, output =", kept)
    assert wrong(checks) == {"1.channel_scale.scale"}


def test_a_gradient_that_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    backward = Conv2d.backward

    def forget(layer: Conv2d, grad_output: Any, batch: Batch) -> Any:
        if layer.bias is not None:
            kept = layer.bias.gradient.copy()
            passed = backward(layer, grad_output, batch)
            layer.bias.gradient[...] = kept
        return passed

    monkeypatch.setattr(Conv2d, "backward", forget)
    assert wrong(check(build(LAYERS))) == {"0.conv2d.bias", "2.conv2d.bias"}


def test_a_mask_kept_from_the_first_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = MaxPool2d.forward

    def keep(layer: MaxPool2d, x: Any, batch: Batch) -> Any:
        y = forward(layer, x, batch)
        layer.__dict__.setdefault("first", layer.mask.copy())
        layer.mask[...] = layer.__dict__["first"]
        return y

    monkeypatch.setattr(MaxPool2d, "forward", keep)
    monkeypatch.setattr(MaxPool2d, "decisions", lambda layer, blocks: None)
    network = build("[conv2d: {filters: 2, kernel_size: 3}, max_pool2d: 2, tanh]", fusions=False)
    assert wrong(check(network)) == {"input", "0.conv2d.weight"}


def test_gradients_into_the_input_that_are_added_to(monkeypatch: pytest.MonkeyPatch) -> None:
    backward = Conv2d.backward

    def add(layer: Conv2d, grad_output: Any, batch: Batch) -> Any:
        assert layer._grad_input is not None
        before = layer._grad_input.beside(grad_output).copy()
        passed = backward(layer, grad_output, batch)
        passed += before
        return passed

    monkeypatch.setattr(Conv2d, "backward", add)
    assert "input" in wrong(check(build(LAYERS)))


def frozen() -> Any:
    """A network whose batch norm keeps statistics that are not those of a fresh one."""
    layers = "[conv2d: {filters: 2, kernel_size: 3}, batch_norm2d: {frozen: true}, tanh]"
    network = build(layers)
    for statistic, value in zip(network.statistics, ([0.3, -0.5], [0.2, 7.0]), strict=True):
        statistic.value[...] = value
    return network


def test_frozen_batch_norm_is_checked_with_its_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(verdicts(check(frozen())).values()) == {"ok"}
    measures = BatchNorm2d._measures
    monkeypatch.setattr(BatchNorm2d, "backward", _as_if_measured(BatchNorm2d.backward))
    assert wrong(check(frozen())) == {"input", "0.conv2d.weight", "0.conv2d.bias"}
    assert BatchNorm2d._measures is measures


def _as_if_measured(backward: Any) -> Any:
    """The evaluation mode's backward pass written as if mean and variance followed the batch."""

    def spoilt(layer: BatchNorm2d, grad_output: Any, batch: Batch) -> Any:
        layer._frozen = False
        passed = backward(layer, grad_output, batch)
        layer._frozen = True
        return passed

    return spoilt


def test_running_statistics_stay_as_they_are() -> None:
    network = build("[conv2d: {filters: 2, kernel_size: 3}, batch_norm2d, tanh]")
    before = network.state()
    checks = check(network)
    assert verdicts(checks)["0.conv2d.bias"] == "zero"
    assert {name for name, found in verdicts(checks).items() if found != "ok"} == {"0.conv2d.bias"}
    for name, value in network.state().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


@pytest.mark.parametrize("layer", [example for examples in EXAMPLES.values() for example in examples], ids=str)
def test_no_right_layer_is_called_wrong(layer: Any) -> None:
    before = f"conv2d: {{filters: {layer.shape[0]}, kernel_size: 1}}, tanh"
    checks = check(build(f"[{before}, {layer.yaml}, tanh]", layer.shape), samples=6)
    assert wrong(checks) == set()
    assert "ok" in verdicts(checks).values()
