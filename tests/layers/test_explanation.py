"""What is said of planned layers: by hand, and against what the built ones do."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from cnntrain.layers.conv2d import Conv2d
from cnntrain.layers.explanation import Explanation
from cnntrain.layers.pooled_convolution import PooledConvolution
from cnntrain.machine import AVX2, AVX512, NEON, Machine
from tests.layers.networks import network
from tests.layers.test_fusion import CONVOLUTION, FIRST, INSIDE, rows_of

SMALL = f"- {CONVOLUTION}\n- tanh\n- max_pool2d: 2\n- {CONVOLUTION}\n- relu"
LARGE = "conv2d: {filters: 16, kernel_size: 3, padding: 1}"
DEPTHWISE = "conv2d: {filters: 3, kernel_size: 3, groups: 3}"


def explained(layers: str, shape: tuple[int, int, int] = (2, 8, 8), machine: Machine = AVX2) -> Explanation:
    return Explanation.of(rows_of(layers, shape), 20, machine=machine)


def algorithms(explanation: Explanation) -> dict[tuple[str, str], str | None]:
    return {(found.path, found.name): found.algorithm for found in explanation.passes}


def test_every_pass_of_every_layer_with_weights() -> None:
    assert algorithms(explained(SMALL)) == {
        ("0.conv2d", "forward"): "direct",
        ("0.conv2d", "to input"): None,
        ("0.conv2d", "to weights"): "by lanes",
        ("3.conv2d", "forward"): "direct",
        ("3.conv2d", "to input"): "direct",
        ("3.conv2d", "to weights"): "by positions",
        ("5.dense", "forward"): "matrix product",
        ("5.dense", "to input"): "matrix product",
        ("5.dense", "to weights"): "by positions",
    }


def test_the_reasons_are_those_of_the_algorithms_before_it() -> None:
    passes = {(found.path, found.name): found for found in explained(SMALL).passes}
    assert passes["3.conv2d", "to input"].refusals == {
        "depthwise": "filters see more than a channel of their own",
        "winograd transposed 8x8": "3x3 taps, not 5x5",
        "winograd 8x8": "3x3 taps, not 5x5",
        "winograd transposed": "the delta has 1 patches, the image 1",
        "winograd rows": "16 registers of 32 bytes are too few",
        "winograd patches": "too few channels to pay for transforms: 3",
    }
    by_lanes = passes["3.conv2d", "to weights"].refusals["by lanes"]
    assert by_lanes == "by positions takes 0.94 of the time"  # 4 pixels: (16 + 1) 4 to 9 (4 + 4)
    assert passes["0.conv2d", "to input"].refusals == {}
    assert passes["0.conv2d", "to input"].note == "no layer before it learns"


@pytest.mark.parametrize(("machine", "form"), [(AVX2, "patches"), (AVX512, "rows"), (NEON, "patches")])
def test_machines_choose_for_themselves(machine: Machine, form: str) -> None:
    found = algorithms(explained(f"- relu\n- {LARGE}", (16, 32, 32), machine))
    assert found["1.conv2d", "forward"] == f"winograd {form}"
    assert found["1.conv2d", "to weights"] == "winograd"


def test_frozen_layers_have_no_gradients() -> None:
    frozen = CONVOLUTION.replace("}", ", frozen: true}")
    found = explained(
        f"- {frozen}\n- residual: [{frozen}]\n- max_pool2d: 2\n- {frozen}\n- max_pool2d: 2\n- {CONVOLUTION}"
    )
    notes = {(one.path, one.name): one.note for one in found.passes if one.algorithm is None}
    layers = ["0.conv2d", "1.residual.body.0.conv2d", "3.conv2d"]
    assert notes == {
        **{(path, "to input"): "no layer before it learns" for path in [*layers, "5.conv2d"]},
        **{(path, "to weights"): "the layer is frozen" for path in layers},
    }


def poolings(layers: str, shape: tuple[int, int, int]) -> list[str]:
    """Return the notes of the first layer's forward pass and of that to the weights."""
    forward, _, to_weights, *_ = explained(layers, shape).passes
    return [forward.note, to_weights.note]


def test_poolings_in_the_same_kernel() -> None:
    few, there = "- conv2d: {filters: 3, kernel_size: 3}\n- max_pool2d: ", "in one kernel with 1.max_pool2d"
    assert poolings(f"{few}2", (2, 8, 8)) == [there, there]
    apart = f"not {there}: the windows do not lie side by side"
    assert poolings(f"{few}{{kernel_size: 3, stride: 2}}", (2, 8, 8)) == [apart, apart]
    none = f"not {there}: there is no such kernel"
    assert poolings(f"- {LARGE}\n- max_pool2d: 2", (16, 32, 32)) == [none, none]


BUILT = f"""
- {CONVOLUTION}
- max_pool2d: 2
- residual: [conv2d: {{filters: 3, kernel_size: 3, padding: 1}}]
- {DEPTHWISE}
- max_pool2d: {{kernel_size: 2, stride: 1}}
- conv2d: {{filters: 16, kernel_size: 5}}
- dense: classes
"""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_built_layers_do_what_was_said(dtype: Any) -> None:
    net = network(BUILT, (2, 24, 24), images=20, dtype=dtype, needs_grad_input=False)
    rows = rows_of(BUILT.replace("- dense: classes\n", ""), (2, 24, 24))
    said = {(one.path, one.name): one for one in Explanation.of(rows, 20, dtype).passes}
    convolutions = {path: layer for path, layer in net.layers() if isinstance(layer, Conv2d)}
    assert len(convolutions) == 4
    for path, convolution in convolutions.items():
        for name, chosen in convolution.passes.choices.by_direction():
            expected = (
                (None, {}) if (path, name) == ("0.conv2d", "to input") else (chosen.algorithm.name, chosen.refusals)
            )
            assert (said[path, name].algorithm, said[path, name].refusals) == expected
    pooled = [layer for layer in net.body.layers if isinstance(layer, PooledConvolution)]
    assert len(pooled) == 2
    for layer in pooled:
        path = layer.convolution.weight.name.removesuffix(".weight")
        assert said[path, "forward"].note.startswith("in one kernel") == layer.together.goes_forward
        assert said[path, "to weights"].note.startswith("in one kernel") == layer.together.goes_backward


def test_as_json() -> None:
    found: dict[str, Any] = json.loads(json.dumps(explained(SMALL).as_dict()))
    assert found.keys() == {"batch_size", "dtype", "machine", "passes", "fusions"}
    assert (found["batch_size"], found["dtype"]) == (20, "float32")
    assert found["machine"] == {"registers": 16, "register_bytes": 32}
    assert found["passes"][1] == {
        "layer": "0.conv2d",
        "shape": "2→3 3x3 on 8x8",
        "pass": "to input",
        "algorithm": None,
        "refusals": {},
        "note": "no layer before it learns",
    }
    assert found["passes"][0]["note"] == "in one kernel with 2.max_pool2d"
    assert list(found["passes"][0]["refusals"]) == ["depthwise", "winograd 8x8", "winograd rows", "winograd patches"]
    assert found["fusions"] == [
        {"rule": FIRST, "layers": ["1.tanh", "2.max_pool2d"], "refusal": None},
        {"rule": FIRST, "layers": ["4.relu"], "refusal": "dense follows, not max-pooling"},
        {"rule": INSIDE, "layers": ["0.conv2d", "2.max_pool2d"], "refusal": None},
        {"rule": INSIDE, "layers": ["3.conv2d"], "refusal": "relu follows, not max_pool2d"},
    ]


TEXT = """\
passes: batches of 20, float32, 16 registers of 32 bytes

0.conv2d  2→3 3x3 on 8x8
  forward     direct, in one kernel with 2.max_pool2d
              not depthwise: filters see more than a channel of their own
              not winograd 8x8: 3x3 taps, not 5x5
              not winograd rows: 16 registers of 32 bytes are too few
              not winograd patches: too few channels to pay for transforms: 2
  to input    never computed: no layer before it learns
  to weights  by lanes, in one kernel with 2.max_pool2d
              not depthwise: filters see more than a channel of their own
              not winograd 8x8: 3x3 taps, not 5x5
              not winograd: 3 filters do not fill a vector of 16

3.conv2d  3→4 3x3 on 4x4 stride 2
  forward     direct
              not depthwise: filters see more than a channel of their own
              not winograd 8x8, winograd rows, winograd patches: stride 2
  to input    direct
              not depthwise: filters see more than a channel of their own
              not winograd transposed 8x8, winograd 8x8, winograd transposed, winograd rows,
                winograd patches: stride 2
  to weights  by positions
              not depthwise: filters see more than a channel of their own
              not winograd 8x8: stride 2
              not winograd: 4 filters do not fill a vector of 16
              not by lanes: by positions takes 0.38 of the time

4.dense  4→7
5.dense  7→3
  forward, to input  matrix product
  to weights         by positions

fusions
  max-pooling before activations
    1.tanh + 2.max_pool2d
  convolution and max-pooling as one
    0.conv2d + 2.max_pool2d
    not at 3.conv2d: dense follows, not max_pool2d"""


def test_as_text() -> None:
    layers = (
        f"- {CONVOLUTION}\n- tanh\n- max_pool2d: 2\n- conv2d: {{filters: 4, kernel_size: 3, stride: 2}}\n- dense: 7"
    )
    assert explained(layers).as_text() == TEXT


def test_many_layers_alike_share_their_lines() -> None:
    residual = f"residual: [{LARGE}, relu, {LARGE}]"
    text = explained(f"- {LARGE}\n- repeat: {{times: 9, layers: [{residual}]}}", (16, 32, 32)).as_text()
    lines = text.splitlines()
    assert "1.repeat.0.0.residual.body.0.conv2d and 17 more  16→16 3x3 on 32x32" in lines
    assert "    not at 1.repeat.0.0.residual.body.1.relu and 8 more: conv2d follows, not max-pooling" in lines
    assert max(map(len, lines)) <= 100
    assert len(lines) < 40


def test_nothing_to_fuse() -> None:
    assert Explanation.of(rows_of("- avg_pool2d: 2"), 3).as_text().splitlines()[-2:] == [
        "fusions",
        "  none applies anywhere",
    ]
