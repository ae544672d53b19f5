from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain.errors import ArgumentError, TrainingError
from cnntrain.layers import Batch
from cnntrain.layers.conv2d import Conv2d
from cnntrain.verify import check_gradients, gradients
from cnntrain.verify.probe import Probe, Tensor
from tests.verify.networks import batch, build, check, verdicts

CONVOLUTIONS = [
    "{filters: 6, kernel_size: 3}",
    "{filters: 6, kernel_size: 3, padding: same}",
    "{filters: 6, kernel_size: [2, 3], padding: [1, 2], stride: [2, 3]}",
    "{filters: 6, kernel_size: 2, stride: 3}",
    "{filters: 6, kernel_size: 3, dilation: 2, padding: same}",
    "{filters: 6, kernel_size: 2, dilation: [2, 3], stride: 2, padding: 1}",
    "{filters: 6, kernel_size: 3, groups: 2, padding: 1}",
    "{filters: 6, kernel_size: 1}",
    "{filters: 20, kernel_size: 3, bias: false}",
]
POOLINGS = [
    "2",
    "{kernel_size: 3, stride: 1}",
    "{kernel_size: 3, stride: 2, padding: 1}",
    "{kernel_size: [2, 3], stride: 2, ceil_mode: true}",
    "{kernel_size: 2, stride: 3}",
]
SMOOTH = ["sigmoid", "tanh", "flatten"]
RECTIFIERS = ["relu", "leaky_relu", "leaky_relu: 0.3"]
CONTAINERS = [
    "residual: [tanh, relu]",
    "branches: [[tanh], [], [relu]]",
    "repeat: {times: 2, layers: [residual: [tanh, flatten]]}",
]


@pytest.mark.parametrize("mode", ["cross_correlation", "convolution"])
@pytest.mark.parametrize("settings", CONVOLUTIONS)
def test_conv2d(settings: str, mode: str) -> None:
    first = f"{{filters: 4, kernel_size: 3, padding: same, mode: {mode}}}"
    network = build(f"[conv2d: {first}, tanh, conv2d: {settings[:-1]}, mode: {mode}}}, sigmoid]")
    checks = check(network)
    assert set(verdicts(checks).values()) == {"ok"}
    assert sum(found.kinks for found in checks.values()) == 0
    assert [found.shape for found in checks.values()][1:] == [p.value.shape for p in network.parameters]


@pytest.mark.parametrize("settings", POOLINGS)
def test_max_pool2d(settings: str) -> None:
    layers = f"[conv2d: {{filters: 4, kernel_size: 3, padding: same}}, max_pool2d: {settings}, tanh]"
    checks = check(build(layers, (1, 6, 7)))
    assert set(verdicts(checks).values()) == {"ok"}


@pytest.mark.parametrize("activation", SMOOTH + RECTIFIERS + CONTAINERS)
def test_activations(activation: str) -> None:
    layer = f"{{{activation}}}" if ":" in activation else activation
    checks = check(build(f"[conv2d: {{filters: 4, kernel_size: 3}}, {layer}, dense: 5, {layer}]"))
    assert set(verdicts(checks).values()) == {"ok"}


def test_frozen_parameters_have_no_gradient_to_check() -> None:
    checks = check(
        build("[conv2d: {filters: 4, kernel_size: 3}, tanh, conv2d: {filters: 2, kernel_size: 1, frozen: true}]")
    )
    assert list(checks) == ["input", "0.conv2d.weight", "0.conv2d.bias", "3.dense.weight", "3.dense.bias"]
    assert set(verdicts(checks).values()) == {"ok"}


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("images", [1, 15, 16, 17, 33])
def test_losses_and_batches(loss: str, images: int) -> None:
    network = build("[conv2d: {filters: 4, kernel_size: 3}, tanh, dense: 5, tanh]", loss=loss, batch_size=images)
    checks = check(network, images)
    assert set(verdicts(checks).values()) == {"ok"}
    assert checks["input"].shape == (images, 2, 6, 7)
    assert max(found.worst.error for found in checks.values() if found.worst) < 1e-6


def test_a_batch_may_be_smaller_than_the_network_takes() -> None:
    assert set(verdicts(check(build("[dense: 5, tanh]", batch_size=40), images=3)).values()) == {"ok"}


def test_everything_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build("[dense: {units: 5, weight_init: zeros, bias_init: zeros}, relu]")
    network.parameters[0].value[...] = network.parameters[1].value[...] = 0  # a kink: the parameters will be moved
    images, labels = batch(network)
    before = images.copy(), network.state()
    checks = check_gradients(network, images, labels)
    assert any(found.moved for found in checks)
    np.testing.assert_array_equal(images, before[0])
    for name, value in network.state().items():
        np.testing.assert_array_equal(value, before[1][name])


def test_first_last_and_largest_entries_are_always_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build("[dense: 5, tanh]")
    tried: dict[str, list[int]] = {}
    largest: dict[str, int] = {}
    difference = Probe.difference

    def spy(probe: Probe, tensor: Tensor, place: int, step: float) -> float | None:
        tried.setdefault(tensor.name, []).append(place)
        largest[tensor.name] = int(np.abs(tensor.gradient).argmax())
        return difference(probe, tensor, place, step)

    monkeypatch.setattr(Probe, "difference", spy)
    checks = check(network, samples=4)
    for name, found in checks.items():
        size = int(np.prod(found.shape))
        assert {0, size - 1, largest[name]} <= set(tried[name])
        assert found.checked == len(set(tried[name])) == min(4, size)


def test_a_small_tensor_is_checked_whole() -> None:
    checks = check(build("[dense: 5, tanh]"), samples=1000)
    assert checks["0.dense.bias"].checked == 5
    assert checks["0.dense.weight"].checked == 5 * 2 * 6 * 7


def test_the_seed_decides_which_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build("[dense: 5, tanh]")
    first, again, other = check(network), check(network), check(network, seed=2)
    assert first == again
    assert first["0.dense.weight"] != other["0.dense.weight"]


def test_the_worst_entry_is_the_one_with_the_largest_error() -> None:
    network = build("[dense: 5, tanh]")
    worst = check(network, samples=1000)["2.dense.bias"].worst
    assert worst is not None
    network.load(batch(network)[0], np.arange(18), Probe(network, *batch(network))._as_they_are)
    network.forward()
    network.loss(batch(network)[1])
    network.backward()
    assert worst.analytic == network.parameters[-1].gradient[worst.index]
    assert worst.error == pytest.approx(
        abs(worst.analytic - worst.numeric)
        / max(abs(worst.analytic), abs(worst.numeric), worst.noise / gradients.TOLERANCE)
    )


def test_rounding_stays_below_the_noise_that_is_allowed_for_it() -> None:
    """At the smaller step the error is all rounding: the bound must hold with room to spare, and not be absurd."""
    network = build("[conv2d: {filters: 6, kernel_size: 3}, tanh, dense: 20, tanh]")
    probe = Probe(network, *batch(network))
    shares = []
    for tensor in probe.differentiate():
        for place in range(0, tensor.value.size, 7):
            numeric = probe.difference(tensor, place, 1e-6)
            assert numeric is not None
            shares.append(abs(numeric - tensor.gradient.flat[place]) / probe.noise(1e-6))
    assert 0.02 < max(shares) < 0.7


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-12])
def test_no_tolerance_makes_rounding_an_error(tolerance: float) -> None:
    assert set(verdicts(check(build("[dense: 5, tanh]"), tolerance=tolerance)).values()) == {"ok"}


def test_unnormalised_pixels_and_large_values() -> None:
    network = build("[conv2d: {filters: 4, kernel_size: 3}, tanh]", loss="mse")
    generator = np.random.default_rng(5)
    images = generator.integers(0, 256, (18, 2, 6, 7)).astype(np.float64)
    found = check_gradients(network, images, generator.integers(0, 4, 18))
    assert "WRONG" not in {check.verdict for check in found}
    assert found[-1].verdict == "ok"


def test_images_far_from_zero() -> None:
    """What batch norm leaves of them are small differences of large numbers, where rounding counts ten thousandfold."""
    network = build("[conv2d: {filters: 4, kernel_size: 3}, batch_norm2d, tanh]")
    images, labels = batch(network)
    found = verdicts({check.name: check for check in check_gradients(network, 10_000 + images, labels)})
    assert {name for name, verdict in found.items() if verdict != "ok"} <= {"0.conv2d.bias"}
    assert found["0.conv2d.bias"] in ("zero", "ok")


def test_a_wrong_gradient_of_images_far_from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    backward = Conv2d.backward

    def spoil(layer: Conv2d, grad_output: Any, batch: Batch) -> Any:
        passed = backward(layer, grad_output, batch)
        layer.weight.gradient *= 1.01
        return passed

    monkeypatch.setattr(Conv2d, "backward", spoil)
    network = build("[conv2d: {filters: 4, kernel_size: 3}, batch_norm2d, tanh]")
    images, labels = batch(network)
    found = verdicts({check.name: check for check in check_gradients(network, 10_000 + images, labels)})
    assert found["0.conv2d.weight"] == "WRONG"


def test_a_mostly_zero_gradient_is_checked_where_it_is_not() -> None:
    """Few of the pixels win in the windows; first, last and some at random may all lose."""
    network = build("[max_pool2d: {kernel_size: 9, stride: 1}, tanh, dense: 3, tanh]", (1, 40, 40), batch_size=2)
    images, labels = batch(network, 2)
    images[:, :, 1::2], images[:, :, :, 1::2] = -9, -9
    images[0, 0, 0, 0] = images[1, 0, 0, 0] = -9
    found = {seed: check_gradients(network, images, labels, samples=1, seed=seed)[0] for seed in (1, 2)}
    assert {(check.verdict, check.checked, check.moved) for check in found.values()} == {("ok", 1, False)}


def test_on_tensor_is_told_of_each() -> None:
    network, told = build("[dense: 5, tanh]"), list[str]()
    check(network, on_tensor=lambda found: told.append(found.name))
    assert told == ["input", "0.dense.weight", "0.dense.bias", "2.dense.weight", "2.dense.bias"]


def test_a_nan_gradient_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build("[conv2d: {filters: 4, kernel_size: 3}, tanh]")
    backward = Conv2d.backward

    def spoil(layer: Conv2d, grad_output: Any, batch: Batch) -> Any:
        passed = backward(layer, grad_output, batch)
        layer.parameters[0].gradient[1, 0, 2, 2] = np.nan
        return passed

    monkeypatch.setattr(Conv2d, "backward", spoil)
    checks = check(network)
    found = checks["0.conv2d.weight"]
    assert (found.verdict, found.wrong) == ("WRONG", 1)
    assert found.worst is not None
    assert (found.worst.index, found.worst.error) == ((1, 0, 2, 2), np.inf)
    assert {name for name, other in verdicts(checks).items() if other == "WRONG"} == {"0.conv2d.weight"}


def test_a_loss_that_is_no_number_is_refused() -> None:
    network = build("[dense: 5, tanh]")
    network.parameters[0].value[0, 0] = np.nan
    with pytest.raises(TrainingError, match="the loss of the 18 images is nan: there are no gradients to check"):
        check(network)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((2, 2, 6, 7), np.float32)}, r"images must be float64 \(N, C, H, W\); received float32"),
        ({"images": np.zeros((2, 6, 7))}, r"images must be float64 \(N, C, H, W\); received float64 \(2, 6, 7\)"),
        ({"images": np.zeros((2, 1, 6, 7))}, "images must be 2x6x7; received 1x6x7"),
        ({"images": np.zeros((0, 2, 6, 7)), "labels": np.zeros(0, int)}, "a batch must have 1 to 20 images"),
        ({"labels": np.zeros(3, int)}, r"labels must be 2 whole numbers; received int64 \(3,\)"),
        ({"labels": np.zeros(2)}, r"labels must be 2 whole numbers; received float64 \(2,\)"),
        ({"labels": np.array([0, 4])}, "labels must be 0 to 3; received 0 to 4"),
        ({"labels": np.array([-1, 3])}, "labels must be 0 to 3; received -1 to 3"),
        ({"samples": 0}, r"samples must be at least 1, tolerance in \(0, 1\); received 0 and 1e-06"),
        ({"tolerance": 1.0}, r"samples must be at least 1, tolerance in \(0, 1\); received 12 and 1.0"),
        ({"tolerance": float("nan")}, "received 12 and nan"),
    ],
)
def test_wrong_arguments(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"images": np.zeros((2, 2, 6, 7)), "labels": np.zeros(2, int), **change}
    with pytest.raises(ArgumentError, match=message):
        check_gradients(build("[dense: 5, tanh]"), **arguments)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dtype": np.float32}, "gradients are checked in float64; the network computes in float32"),
        ({"needs_grad_input": False}, "the network was built without needs_grad_input"),
    ],
)
def test_networks_that_cannot_be_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        check(build("[dense: 5, tanh]", **settings))
