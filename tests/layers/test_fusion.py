"""What runs in the place of which layers, what the rules say about it, and that it gives the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain.config import infer_shapes, parse_config
from cnntrain.layers import LayerRow
from cnntrain.layers.fusion import Finding, PoolingFirst, PoolingInside, explain, fuse
from cnntrain.network import Network
from cnntrain.shape import Shape
from tests.layers.networks import Array, batch, loss, network

FIRST, INSIDE = PoolingFirst.name, PoolingInside.name


def rows_of(layers: str, shape: tuple[int, int, int] = (2, 8, 8)) -> list[LayerRow]:
    lines = "\n".join(f"  {line}" for line in layers.strip("\n").splitlines())
    text = f"data: {{source: mnist, path: none}}\noptimizer: {{sgd: 0.1}}\nnetwork:\n{lines}\n  - dense: classes\n"
    return infer_shapes(parse_config(text, "a.yaml"), Shape(*shape), 3)


CONVOLUTION = "conv2d: {filters: 3, kernel_size: 3, padding: 1}"


def test_a_convolution_and_the_pooling_behind_its_activation_become_one() -> None:
    rows = rows_of(f"- {CONVOLUTION}\n- tanh\n- max_pool2d: 2")
    fused = fuse(rows)
    assert [row.name for row in fused] == ["conv2d + max_pool2d", "tanh", "dense"]
    pooled, tanh, _ = fused
    assert [row.path for row in pooled.stands_for] == ["0.conv2d", "2.max_pool2d"]
    assert (pooled.path, pooled.input_shape, pooled.output_shape) == ("2.max_pool2d", (2, 8, 8), (3, 4, 4))
    assert (pooled.parameters, pooled.macs) == (rows[0].parameters, rows[0].macs)
    assert (tanh.path, tanh.input_shape, tanh.output_shape) == ("1.tanh", (3, 4, 4), (3, 4, 4))
    assert explain(rows) == [
        Finding(FIRST, ("1.tanh", "2.max_pool2d"), None),
        Finding(INSIDE, ("0.conv2d", "2.max_pool2d"), None),
    ]


def test_several_poolings_pass_several_activations() -> None:
    rows = rows_of("- tanh\n- max_pool2d: 2\n- sigmoid\n- max_pool2d: 2\n- relu\n- gelu\n- relu")
    fused = fuse(rows)
    assert [row.path for row in fused][:7] == [
        "1.max_pool2d", "3.max_pool2d", "0.tanh", "2.sigmoid", "4.relu", "5.gelu", "6.relu",
    ]  # fmt: skip
    assert [row.output_shape[1] for row in fused[:5]] == [4, 2, 2, 2, 2]
    assert explain(rows) == [
        Finding(FIRST, ("0.tanh", "1.max_pool2d", "2.sigmoid", "3.max_pool2d"), None),
        Finding(FIRST, ("4.relu",), "gelu follows, not max-pooling"),
        Finding(FIRST, ("6.relu",), "dense follows, not max-pooling"),
    ]


def test_a_rule_says_why_it_does_not_apply() -> None:
    rows = rows_of(f"- {CONVOLUTION}\n- gelu\n- max_pool2d: 2\n- {CONVOLUTION}\n- avg_pool2d: 2\n- tanh")
    assert [row.path for row in fuse(rows)] == [row.path for row in rows]
    assert explain(rows) == [
        Finding(FIRST, ("5.tanh",), "dense follows, not max-pooling"),
        Finding(INSIDE, ("0.conv2d",), "gelu follows, not max_pool2d"),
        Finding(INSIDE, ("3.conv2d",), "avg_pool2d follows, not max_pool2d"),
    ]


def test_layers_inside_layers_are_fused_among_themselves() -> None:
    body = f"[tanh, {CONVOLUTION}, relu, {{max_pool2d: {{kernel_size: 3, stride: 1, padding: 1}}}}, relu]"
    rows = rows_of(f"- residual: {{body: {body}, shortcut: [{CONVOLUTION}]}}\n- max_pool2d: 2")
    fused = fuse(rows)
    assert [row.name for row in fused] == ["residual", "max_pool2d", "dense"]
    inside, shortcut = fused[0].parts
    assert [row.name for row in inside.rows] == ["tanh", "conv2d + max_pool2d", "relu", "relu"]
    assert [row.name for row in shortcut.rows] == ["conv2d"]
    assert fused[0].parameters == rows[0].parameters
    at = "0.residual.body"
    assert explain(rows) == [
        Finding(FIRST, (f"{at}.0.tanh",), "conv2d follows, not max-pooling"),
        Finding(FIRST, (f"{at}.2.relu", f"{at}.3.max_pool2d"), None),
        Finding(FIRST, (f"{at}.4.relu",), "nothing follows, not max-pooling"),
        Finding(INSIDE, (f"{at}.1.conv2d", f"{at}.3.max_pool2d"), None),
        Finding(INSIDE, ("0.residual.shortcut.0.conv2d",), "nothing follows, not max_pool2d"),
    ]


def results(net: Network, images: int) -> tuple[Array, list[Array]]:
    """The outputs of a batch; the gradients of the input and of the parameters."""
    generator = np.random.default_rng(3)
    for parameter in net.parameters:
        parameter.value[...] = 0.3 * generator.standard_normal(parameter.value.shape)
    loss(net, *batch(net, images))
    net.backward()
    return net.logits(), [net.grad_input, *(parameter.gradient.copy() for parameter in net.parameters)]


SAME_BITS = {  # poolings before activations that round nothing
    "relu": "- batch_norm2d\n- relu\n- max_pool2d: 2",
    "leaky_relu": "- batch_norm2d\n- leaky_relu: 0.25\n- relu\n- max_pool2d: {kernel_size: 3, stride: 2, padding: 1}",
}
FIRST_LAYER = "conv2d: {filters: 4, kernel_size: 3, padding: 1}"
SAME_SUMS = {  # and the channels of the image
    "a convolution with its pooling": (f"- {FIRST_LAYER}\n- max_pool2d: 2\n- tanh", 1),
    "overlapping windows": (f"- {FIRST_LAYER}\n- tanh\n- max_pool2d: {{kernel_size: 3, stride: 2}}", 1),
    "both rules, nested": (
        "- residual: [{conv2d: {filters: 5, kernel_size: 3, padding: 1}}, sigmoid, "
        "{max_pool2d: {kernel_size: 3, stride: 1, padding: 1}}]\n- elu\n- max_pool2d: 2",
        5,
    ),
}


@pytest.mark.parametrize("layers", SAME_BITS.values(), ids=SAME_BITS)
def test_without_fusions_the_same_bits(layers: str) -> None:
    fused, plain = both(layers)
    (outputs, gradients), (expected_outputs, expected_gradients) = results(fused, 37), results(plain, 37)
    np.testing.assert_array_equal(outputs, expected_outputs)
    for received, expected in zip(gradients, expected_gradients, strict=True):
        assert expected.any()
        np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("layers", "channels"), SAME_SUMS.values(), ids=SAME_SUMS)
def test_without_fusions_the_same_but_for_rounding(layers: str, channels: int, dtype: Any) -> None:
    fused, plain = both(layers, channels, dtype)
    (outputs, gradients), (expected_outputs, expected_gradients) = results(fused, 37), results(plain, 37)
    share = 2e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(outputs, expected_outputs, rtol=0, atol=share * np.abs(expected_outputs).max())
    for received, expected in zip(gradients, expected_gradients, strict=True):
        assert expected.any()
        np.testing.assert_allclose(received, expected, rtol=0, atol=share * np.abs(expected).max())


def both(layers: str, channels: int = 2, dtype: Any = np.float64) -> tuple[Network, Network]:
    """A network with fusions and one without, in which every layer runs by itself where the config has it."""
    layers += "\n- dense: classes"
    fused, plain = (network(layers, (channels, 8, 9), images=37, dtype=dtype, fusions=on) for on in (True, False))
    order = [path for path, _ in plain.layers() if path.count(".") == 1]
    assert order == sorted(order)
    assert any(row.stands_for for row in fused.body.rows) or order != [path for path, _ in fused.layers()]
    return fused, plain
