"""`residual`, `branches` and `repeat`: forward against plain NumPy, gradients against differences.

Activations inside are smooth (tanh, sigmoid), so that differences are never taken across a kink.
"""

from __future__ import annotations

import numba
import numpy as np
import pytest

from cnntrain.network import Network
from tests.layers.networks import Array, batch, check_gradients, loss, network
from tests.naive import conv2d

# Its convolutions take forms of the kernels that other tests compile too: see tests/functional/test_conv2d.py.
NESTED = """
- conv2d: {filters: 5, kernel_size: 3, padding: 1}
- residual:
    body:
      - tanh
      - branches:
          sequences:
            - [conv2d: {filters: 3, kernel_size: 3, padding: 1}]
            - []
            - [conv2d: {filters: 3, kernel_size: 3, padding: 1}, sigmoid]
      - repeat: {times: 2, layers: [residual: [conv2d: {filters: 11, kernel_size: 3, padding: 1}, tanh]]}
      - conv2d: {filters: 6, kernel_size: 3, stride: 2, padding: 1}
    shortcut: zero_padded
- residual: {body: [tanh], shortcut: [conv2d: {filters: 6, kernel_size: 3, padding: 1}]}
- branches:
    sequences: [[tanh], [sigmoid], [conv2d: {filters: 6, kernel_size: 3, padding: 1, bias: false}]]
    merge: add
- dense: classes
"""
NAMES = [
    "0.conv2d",
    "1.residual.body.1.branches.0.0.conv2d",
    "1.residual.body.1.branches.2.0.conv2d",
    "1.residual.body.2.repeat.0.0.residual.body.0.conv2d",
    "1.residual.body.2.repeat.1.0.residual.body.0.conv2d",
    "1.residual.body.3.conv2d",
    "2.residual.shortcut.0.conv2d",
    "3.branches.2.0.conv2d",
    "4.dense",
]


def test_gradients_of_nested_layers() -> None:
    net = network(NESTED, (5, 5, 4), images=17)
    expected = [f"{name}.{tensor}" for name in NAMES for tensor in ("weight", "bias")]
    expected.remove("3.branches.2.0.conv2d.bias")
    assert [p.name for p in net.parameters] == expected
    assert check_gradients(net, 17, most=12) == ["input", *expected]


def parameter(net: Network, name: str) -> Array:
    return next(p.value for p in net.parameters if p.name == name)


def outputs(net: Network, images: Array) -> dict[str, Array]:
    """Every layer's output, (image, channel, row, column) flattened to (image, values in memory's order)."""
    loss(net, images, np.zeros(len(images), np.int64))
    by_path = {}

    def keep(path: str, output: Array) -> None:
        lanes = output.reshape(-1, output.size // 16 // (-(-len(images) // 16)), 16)
        by_path[path] = lanes.transpose(0, 2, 1).reshape(-1, lanes.shape[1])[: len(images)].copy()

    net.watch(keep)
    return by_path


def image_order(values: Array, shape: tuple[int, int, int]) -> Array:
    """(image, row · column · channel) as (image, channel, row, column)."""
    channels, rows, columns = shape
    return values.reshape(-1, rows, columns, channels).transpose(0, 3, 1, 2)


def test_a_residual_adds() -> None:
    net = network("- residual: [sigmoid]\n- dense: classes", (2, 3, 4), images=3)
    x, _ = batch(net, 3)
    found = outputs(net, x)
    assert list(found) == ["0.residual.body.0.sigmoid", "0.residual", "1.dense"]
    expected = 1 / (1 + np.exp(-x)) + x
    np.testing.assert_allclose(image_order(found["0.residual"], (2, 3, 4)), expected, rtol=1e-13)


@pytest.mark.parametrize(("size", "stride"), [((5, 4), (2, 2)), ((7, 3), (3, 1))])
def test_a_zero_padded_shortcut_takes_pixels_and_adds_channels(size: tuple[int, int], stride: tuple[int, int]) -> None:
    body = f"conv2d: {{filters: 4, kernel_size: 1, stride: {list(stride)}}}"
    net = network(f"- residual: {{body: [{body}], shortcut: zero_padded}}\n- dense: classes", (3, *size), images=2)
    x, _ = batch(net, 2)
    taken = x[:, :, :: stride[0], :: stride[1]]
    weight, bias = (parameter(net, f"0.residual.body.0.conv2d.{name}") for name in ("weight", "bias"))
    expected = conv2d(taken, weight, bias)
    expected[:, :3] += taken
    found = outputs(net, x)["0.residual"]
    np.testing.assert_allclose(image_order(found, expected.shape[1:]), expected, rtol=1e-12, atol=1e-13)


def test_branches_are_concatenated_in_order() -> None:
    net = network("- branches: [[tanh], [], [sigmoid, max_pool2d: 1]]\n- dense: classes", (2, 3, 2), images=17)
    x, _ = batch(net, 17)
    expected = np.concatenate([np.tanh(x), x, 1 / (1 + np.exp(-x))], axis=1)
    np.testing.assert_allclose(image_order(outputs(net, x)["0.branches"], (6, 3, 2)), expected, rtol=1e-13)


def test_branches_are_added() -> None:
    net = network("- branches: {sequences: [[tanh], [], []], merge: add}\n- dense: classes", (1, 2, 2), images=2)
    x, _ = batch(net, 2)
    np.testing.assert_allclose(image_order(outputs(net, x)["0.branches"], (1, 2, 2)), np.tanh(x) + 2 * x, rtol=1e-13)


def test_repeat_is_the_network_written_out() -> None:
    layers = "conv2d: {filters: 5, kernel_size: 3, padding: 1}"
    short = network(f"- repeat: {{times: 2, layers: [{layers}, tanh]}}\n- dense: classes", (5, 4, 4), images=3)
    long = network(f"- {layers}\n- tanh\n- {layers}\n- tanh\n- dense: classes", (5, 4, 4), images=3)
    first, second = (parameter(short, f"0.repeat.{turn}.0.conv2d.weight") for turn in (0, 1))
    assert not np.array_equal(first, second)
    for a, b in zip(short.parameters, long.parameters, strict=True):
        b.value[...] = a.value
    x, labels = batch(short, 3)
    assert loss(short, x, labels) == loss(long, x, labels)
    for net in (short, long):
        net.backward()
    for a, b in zip(short.parameters, long.parameters, strict=True):
        np.testing.assert_array_equal(a.gradient, b.gradient, err_msg=a.name)
    np.testing.assert_array_equal(short.grad_input, long.grad_input)


@pytest.mark.parametrize(
    "first",
    [
        "residual: {body: [conv2d: {filters: 4, kernel_size: 1}, tanh], shortcut: zero_padded}",
        "residual: [tanh, conv2d: {filters: 3, kernel_size: 1}, tanh]",
        "branches: [[], [tanh, conv2d: {filters: 3, kernel_size: 1}, tanh]]",
        "repeat: {times: 2, layers: [residual: [tanh, conv2d: {filters: 3, kernel_size: 1}, tanh]]}",
        "residual: [flatten]",
    ],
)
def test_the_gradients_are_the_same_when_nobody_wants_that_of_the_image(first: str) -> None:
    layers = f"- {first}\n- dense: classes"
    with_input, without = (network(layers, (3, 4, 3), images=5, needs_grad_input=needs) for needs in (True, False))
    x, labels = batch(with_input, 5)
    for net in (with_input, without):
        loss(net, x, labels)
        net.backward()
    for a, b in zip(with_input.parameters, without.parameters, strict=True):
        np.testing.assert_array_equal(a.gradient, b.gradient, err_msg=a.name)
        assert np.abs(a.gradient).max() > 1e-6


def test_initial_values_differ_between_all_layers_and_repeat_with_the_seed() -> None:
    net, again, other = (network(NESTED, (5, 5, 4), images=1, seed=seed) for seed in (1, 1, 2))
    firsts = [p.value.flat[0] for p in net.parameters if p.name.endswith("weight")]
    assert len(set(firsts)) == len(firsts)
    for name, value in net.state().items():
        np.testing.assert_array_equal(value, again.state()[name])
    assert not any(
        np.array_equal(value, other.state()[name]) for name, value in net.state().items() if name.endswith("weight")
    )


@pytest.mark.skipif(numba.get_num_threads() < 2, reason="Numba may use one thread only (NUMBA_NUM_THREADS)")
def test_the_same_bits_for_any_number_of_threads() -> None:
    results = []
    before = numba.get_num_threads()
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            net = network(NESTED, (5, 5, 4), images=33, dtype=np.float32)
            loss(net, *batch(net, 33))
            net.backward()
            results.append([net.logits(), net.grad_input, *(p.gradient.copy() for p in net.parameters)])
    finally:
        numba.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_batch_that_leaves_lanes_empty_in_float32() -> None:
    """What the lanes without images hold reaches no gradient."""
    net = network(NESTED, (5, 5, 4), images=33, dtype=np.float32)
    x, labels = batch(net, 33)
    loss(net, x, labels)
    net.backward()  # leaves numbers in all buffers
    loss(net, x[:3], labels[:3])
    net.backward()
    few = {p.name: p.gradient.copy() for p in net.parameters}
    alone = network(NESTED, (5, 5, 4), images=33, dtype=np.float32)
    loss(alone, x[:3], labels[:3])
    alone.backward()
    for p in alone.parameters:
        np.testing.assert_allclose(few[p.name], p.gradient, rtol=1e-4, atol=1e-6, err_msg=p.name)
