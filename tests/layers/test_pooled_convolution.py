"""Convolutions and the max-poolings behind them, in one go or slice by slice: only the order of sums may change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain.layers import pooled_convolution
from cnntrain.layers.pooled_convolution import PooledConvolution, slice_blocks_of
from cnntrain.machine import this_machine
from cnntrain.network import Network
from cnntrain.passes.pooled_convolution import PooledPasses
from tests import naive
from tests.layers.networks import Array, batch, check_gradients, loss, network

WINDOWS = {
    "side by side": "max_pool2d: 2",
    "overlapping, with padding": "max_pool2d: {kernel_size: 3, stride: 2, padding: 1}",
    "beyond the far edges": "max_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}",
}
# A name, the layer, and the image it is for. Three have one channel and 4 filters of 3 columns: the same forms.
CONVOLUTIONS: dict[str, tuple[str, tuple[int, int, int]]] = {
    "few channels": ("{filters: 4, kernel_size: 3}", (1, 8, 9)),
    "many channels": ("{filters: 11, kernel_size: 3, stride: 2, padding: 1}", (9, 11, 9)),
    "without bias": ("{filters: 4, kernel_size: 3, bias: false}", (1, 8, 8)),
    "rotated": ("{filters: 4, kernel_size: [2, 3], mode: convolution}", (1, 7, 8)),
    "depthwise": ("{filters: 6, kernel_size: 3, groups: 6}", (6, 8, 8)),
    "groups": ("{filters: 6, kernel_size: 3, groups: 2}", (4, 8, 8)),
    "Winograd": ("{filters: 32, kernel_size: 3, padding: 1}", (16, 15, 14)),
    "Winograd, 5x5": ("{filters: 32, kernel_size: 5}", (20, 12, 12)),
}


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in one go."""
    monkeypatch.setattr(PooledPasses, "goes_forward", False)
    monkeypatch.setattr(PooledPasses, "goes_backward", False)


@pytest.fixture
def small_slices(apart: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As few blocks at a time as possible."""
    monkeypatch.setattr(pooled_convolution, "SLICE_BYTES", 1)


def fused(net: Network) -> PooledConvolution:
    """The first convolution that is run with its pooling."""
    return next(layer for layer in net.body.layers if isinstance(layer, PooledConvolution))


def slices_of(net: Network) -> int:
    """How many slices its largest batch has."""
    return -(-net.blocks // fused(net).slice_blocks)


@pytest.mark.parametrize("pool", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.usefixtures("small_slices")
def test_gradients_of_slices(pool: str) -> None:
    layers = f"""
- conv2d: {{filters: 3, kernel_size: 3, padding: 1}}
- {pool}
- tanh
- conv2d: {{filters: 5, kernel_size: 3, padding: 1}}
- tanh
- {pool}
- dense: classes
"""
    net = network(layers, (5, 7, 6), images=37)
    assert slices_of(net) == 3
    assert len([layer for layer in net.body.layers if isinstance(layer, PooledConvolution)]) == 2
    assert check_gradients(net, 37, most=25) == ["input", *(parameter.name for parameter in net.parameters)]


def results(net: Network, images: int, training: bool = True) -> tuple[list[Array], list[Array]]:
    """The outputs of a batch and its loss; the gradients of the input and of the parameters."""
    generator = np.random.default_rng(3)
    for parameter in net.parameters:
        parameter.value[...] = 0.1 * generator.standard_normal(parameter.value.shape)
    x, labels = batch(net, images)
    mean = loss(net, x, labels, training)
    net.backward()
    return [net.logits(), np.array(mean)], [
        net.grad_input,
        *(parameter.gradient.copy() for parameter in net.parameters),
    ]


def same_but_for_the_order_of_sums(whole: Network, cut: Network, images: int) -> None:
    """Assert that two networks give the same outputs, and the same gradients but for rounding."""
    (outputs, gradients), (cut_outputs, cut_gradients) = results(whole, images), results(cut, images)
    for expected, received in zip(outputs, cut_outputs, strict=True):
        np.testing.assert_array_equal(received, expected)
    for expected, received in zip(gradients, cut_gradients, strict=True):
        tolerance = np.abs(expected).max() * (2e-5 if whole.dtype == np.float32 else 1e-13)
        assert tolerance > 0
        np.testing.assert_allclose(received, expected, rtol=0, atol=tolerance)


SIDE_BY_SIDE = {  # a window, and the bands of rows and columns behind the last, which nobody reads
    "2x2": "2",
    "1x3": "[1, 3]",
    "3x2": "[3, 2]",
    "one window": "4",
}


# Each window, type and layer has compiled forms of its own: every layer meets two windows and both types, some more.
TOGETHER = [
    *((name, window, np.float32) for name in CONVOLUTIONS for window in ("2x2", "3x2")),
    *((name, window, np.float32) for name in ("few channels", "many channels") for window in ("1x3", "one window")),
    *((name, "2x2", np.float64) for name in CONVOLUTIONS),
    ("few channels", "3x2", np.float64),
]


@pytest.mark.parametrize(("name", "size", "dtype"), TOGETHER)
def test_one_go_gives_what_two_layers_give(name: str, size: str, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (convolution, shape), window = CONVOLUTIONS[name], SIDE_BY_SIDE[size]
    layers = f"- conv2d: {convolution}\n- max_pool2d: {window}\n- tanh\n- dense: classes"
    together = network(layers, shape, images=35, dtype=dtype)
    passes = fused(together).together
    direct, few = shape[0] in (1, 4, 9), shape[0] in (1, 4)  # channels of those that are neither of the others
    assert (passes.goes_forward, passes.goes_backward) == (direct, few)
    found = [results(together, images) for images in (35, 16, 7)]
    monkeypatch.setattr(PooledPasses, "goes_forward", False)
    monkeypatch.setattr(PooledPasses, "goes_backward", False)
    two = network(layers, shape, images=35, dtype=dtype)
    for (outputs, gradients), images in zip(found, (35, 16, 7), strict=True):
        expected_outputs, expected_gradients = results(two, images)
        for expected, received in zip(expected_outputs, outputs, strict=True):
            np.testing.assert_array_equal(received, expected)
        for expected, received in zip(expected_gradients, gradients, strict=True):
            tolerance = np.abs(expected).max() * (2e-5 if dtype == np.float32 else 1e-13)
            assert tolerance > 0
            np.testing.assert_allclose(received, expected, rtol=0, atol=tolerance)


def test_gradients_in_one_go() -> None:
    """Of the first layer and of one inside, on images with an odd number of rows and columns."""
    layers = """
- conv2d: {filters: 4, kernel_size: 3, padding: 1, stride: [2, 1]}
- max_pool2d: [3, 2]
- tanh
- conv2d: {filters: 3, kernel_size: [1, 2], groups: 1, bias: false}
- max_pool2d: 2
- dense: classes
"""
    net = network(layers, (1, 15, 11), images=37)
    inside = [layer for layer in net.body.layers if isinstance(layer, PooledConvolution)]
    assert [layer.together.goes_backward for layer in inside] == [True, True]
    assert check_gradients(net, 37, most=25) == ["input", *(parameter.name for parameter in net.parameters)]


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("convolution", "shape"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_slices_give_what_the_whole_gives(
    convolution: str, shape: tuple[int, int, int], dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = f"- conv2d: {convolution}\n- relu\n- max_pool2d: 2\n- dense: classes"
    monkeypatch.setattr(pooled_convolution, "SLICE_BYTES", 1 << 40)
    whole = network(layers, shape, images=75, dtype=dtype)
    assert slices_of(whole) == 1
    monkeypatch.setattr(pooled_convolution, "SLICE_BYTES", 1)
    cut = network(layers, shape, images=75, dtype=dtype)
    assert slices_of(cut) >= 3
    for images in (75, 40, 7):  # the last slice is whole, or not; there is one slice only
        same_but_for_the_order_of_sums(whole, cut, images)


@pytest.mark.usefixtures("apart")
def test_slices_of_a_single_row(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = "- conv2d: {filters: 12, kernel_size: 1}\n- max_pool2d: [1, 2]\n- dense: classes"
    whole = network(layers, (20, 1, 6), images=35)
    monkeypatch.setattr(pooled_convolution, "SLICE_BYTES", 1)
    same_but_for_the_order_of_sums(whole, network(layers, (20, 1, 6), images=35), 35)


@pytest.mark.usefixtures("apart")
def test_inside_layers_that_contain_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sequences share buffers for gradients, those of slices must not displace what others still need."""
    layers = """
- conv2d: {filters: 5, kernel_size: 3, padding: 1}
- max_pool2d: 2
- residual:
    body: [conv2d: {filters: 5, kernel_size: 3, padding: 1}, max_pool2d: {kernel_size: 3, stride: 1, padding: 1}, tanh]
- branches:
    sequences:
      - - conv2d: {filters: 3, kernel_size: 3, padding: 1}
        - max_pool2d: 2
        - conv2d: {filters: 5, kernel_size: 3, padding: 1}
        - max_pool2d: 2
      - [conv2d: {filters: 3, kernel_size: 3, padding: 1}, tanh, max_pool2d: 4]
- dense: classes
"""
    whole = network(layers, (5, 8, 8), images=70)
    monkeypatch.setattr(pooled_convolution, "SLICE_BYTES", 1)
    same_but_for_the_order_of_sums(whole, network(layers, (5, 8, 8), images=70), 70)


@pytest.mark.usefixtures("small_slices")
def test_gradients_of_the_step_before_are_forgotten() -> None:
    net = network("- conv2d: {filters: 6, kernel_size: 3}\n- max_pool2d: 2\n- dense: classes", (5, 8, 8), images=40)
    _, first = results(net, 40)
    results(net, 17)
    _, again = results(net, 40)
    for expected, received in zip(first, again, strict=True):
        np.testing.assert_array_equal(received, expected)


@pytest.mark.usefixtures("small_slices")
def test_a_frozen_convolution_passes_the_gradient_on() -> None:
    layers = "- conv2d: {filters: 3, kernel_size: 3, frozen: true}\n- max_pool2d: 2\n- dense: classes"
    net = network(layers, (5, 8, 8), images=37)
    assert check_gradients(net, 37) == ["input", "2.dense.weight", "2.dense.bias"]
    alone = network(layers, (5, 8, 8), images=37, needs_grad_input=False)
    loss(alone, *batch(alone, 37))
    alone.backward()
    assert fused(alone).backward(np.zeros(10**5), alone._batch) is None
    assert not alone.parameters[0].gradient.any()


@pytest.mark.usefixtures("small_slices")
def test_whoever_watches_sees_both_layers_whole() -> None:
    layers = "- conv2d: {filters: 6, kernel_size: 3}\n- tanh\n- max_pool2d: 2\n- dense: classes"
    net = network(layers, (5, 8, 6), images=37)
    x, labels = batch(net, 37)
    loss(net, x, labels)
    shown: dict[str, Array] = {}
    net.watch(lambda path, output: shown.update({path: output.copy()}))
    assert list(shown) == ["0.conv2d", "2.max_pool2d", "1.tanh", "3.dense"]
    weight, bias = (parameter.value for parameter in net.parameters[:2])
    z = naive.conv2d(x, weight, bias)
    pooled, _ = naive.max_pool2d(z, 2)
    for path, expected in (("0.conv2d", z), ("2.max_pool2d", pooled), ("1.tanh", np.tanh(pooled))):
        count, channels, rows, columns = expected.shape
        received = shown[path].reshape(-1, rows, columns, channels, 16).transpose(0, 4, 3, 1, 2)
        received = received.reshape(-1, channels, rows, columns)[:count]
        np.testing.assert_allclose(received, expected, rtol=1e-12, atol=1e-14)


def test_the_largest_arrays_have_room_for_a_slice_only() -> None:
    """The first layer of Caffe's cifar10_quick, with a batch of 128 images."""
    layers = "- conv2d: {filters: 32, kernel_size: 5, padding: 2}\n- max_pool2d: 2\n- dense: classes"
    net = network(layers, (3, 32, 32), images=128, dtype=np.float32)
    blocks = 2 if this_machine().wide else 1
    assert fused(net).convolution.output.size == blocks * 16 * 32 * 32 * 32
    assert slices_of(net) == 8 // blocks


@pytest.mark.parametrize(
    ("blocks", "block_size", "expected"),
    [
        (1, 10**9, 1),
        (8, 10**9, 2),  # never fewer than share a register tile
        (8, 100_000, 2),  # 3.9 blocks would fit, but the number is even
        (4, 98_304, 4),  # just fits
        (10, 98_304, 4),  # 4, 4 and 2 rather than 3 slices of odd numbers
        (64, 1, 64),
    ],
)
@pytest.mark.skipif(not this_machine().wide, reason="two blocks share a register tile with 512-bit registers only")
def test_size_of_slices(blocks: int, block_size: int, expected: int) -> None:
    assert slice_blocks_of(blocks, block_size, np.dtype(np.float32)) == expected


@pytest.mark.parametrize("blocks", [1, 2, 3, 8, 17])
@pytest.mark.parametrize("block_size", [1, 30_000, 100_000, 200_000, 10**7])
def test_slices_fit_or_are_as_small_as_can_be(blocks: int, block_size: int) -> None:
    size = slice_blocks_of(blocks, block_size, np.dtype(np.float64))
    assert 1 <= size <= blocks
    assert size == 1 or size * block_size * 8 <= pooled_convolution.SLICE_BYTES
