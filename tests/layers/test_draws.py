"""Initial values: each tensor of a network draws its own, and those of weights and biases never change."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from cnntrain import extensions
from cnntrain.layers.draws import InitialDraws
from tests.layers.networks import Array, network

ATTENTION = """
from cnntrain.initializers import InitializerChoice
from cnntrain.layers import Layer, LayerSettings
from pydantic import Field


class MineSettings(LayerSettings):
    init: InitializerChoice = Field({"normal": 1.0}, validate_default=True)

    def output_shape(self, input_shape):
        return input_shape

    def parameter_shapes(self, input_shape):
        return {name: (40,) for name in ("query", "key", "my_bias", "weight", "bias")}


class Mine(Layer):
    name = "mine"
    Settings = MineSettings

    def __init__(self, row, context):
        self.parameters = [context.parameter(name, row.settings.init) for name in row.parameter_shapes]

    def forward(self, x, batch):
        return x

    def backward(self, grad_output, batch):
        return grad_output


LAYERS = [Mine]
"""
NORMAL = "weight_init: {normal: 1.0}, bias_init: {normal: 1.0}"
CONVOLUTION = f"conv2d: {{filters: 40, kernel_size: 1, {NORMAL}}}"
NORMALISATION = "batch_norm2d: {scale_init: {normal: 1.0}, shift_init: {normal: 1.0}}"
PRELU = "prelu: {slope_init: {normal: 1.0}}"
DENSE = f"dense: {{units: 40, {NORMAL}}}"
END = f"- dense: {{units: classes, {NORMAL}}}"
NETWORKS = {
    "one after the other": f"- {CONVOLUTION}\n- {NORMALISATION}\n- {PRELU}\n- {CONVOLUTION}\n- {DENSE}\n{END}",
    "nested": f"""
- {CONVOLUTION}
- residual:
    body:
      - {CONVOLUTION}
      - {NORMALISATION}
      - branches: {{sequences: [[{CONVOLUTION}, {PRELU}], [{CONVOLUTION}, {NORMALISATION}]], merge: add}}
    shortcut: [{CONVOLUTION}, {NORMALISATION}]
- repeat: {{times: 3, layers: [{CONVOLUTION}, {NORMALISATION}, residual: [{NORMALISATION}, {CONVOLUTION}]]}}
- {NORMALISATION}
{END}""",
    "a layer of the user's own": f"""
- mine
- {CONVOLUTION}
- mine
- residual: [mine, repeat: {{times: 2, layers: [mine]}}]
{END}""",
}


def tensors(layers: str, tmp_path: Path) -> dict[str, Array]:
    file = tmp_path / "mine.py"
    file.write_text(ATTENTION)
    with extensions.allowed():
        net = network(layers, (40, 1, 1), images=1, extensions=[str(file)])
    return {parameter.name: parameter.canonical(parameter.value).ravel() for parameter in net.parameters}


@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)
def test_no_two_tensors_begin_with_the_same_numbers(layers: str, tmp_path: Path) -> None:
    """All are normal with deviation 1: the same generator would give the same numbers, as far as the shorter goes."""
    found = tensors(layers, tmp_path)
    assert len(found) > 10
    for (one, first), (other, second) in combinations(found.items(), 2):
        size = min(first.size, second.size)
        assert not np.array_equal(first[:size], second[:size]), f"{one} and {other}"


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("0.conv2d.weight", (0, 0)),
        ("0.conv2d.bias", (0, 1)),
        ("3.conv2d.weight", (3, 0)),
        ("4.dense.bias", (4, 1)),
    ],
)
def test_weights_and_biases_draw_what_they_always_drew(name: str, keys: tuple[int, ...], tmp_path: Path) -> None:
    """In published recipes they depend on the layer's number and on 0 or 1 alone; 0 is the purpose."""
    sequence = np.random.SeedSequence(5, spawn_key=(0, *keys))
    found = tensors(NETWORKS["one after the other"], tmp_path)[name]
    expected = np.random.Generator(np.random.PCG64(sequence)).standard_normal(found.size)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("tensor", ["weight", "bias"])
def test_those_inside_layers_draw_what_they_always_drew(tensor: str, tmp_path: Path) -> None:
    below = f"residual.shortcut.0.conv2d.{tensor}"
    sequence = np.random.SeedSequence(5, spawn_key=(0, 1, int(tensor == "bias"), crc32(below.encode())))
    found = tensors(NETWORKS["nested"], tmp_path)[f"1.{below}"]
    expected = np.random.Generator(np.random.PCG64(sequence)).standard_normal(found.size)
    np.testing.assert_array_equal(found, expected)


def test_names_with_the_same_checksum_draw_different_numbers() -> None:
    paths = "0.repeat.3.152.conv2d", "0.repeat.30.241.residual.body.0.conv2d"
    assert len({crc32(f"{path.removeprefix('0.')}.weight".encode()) for path in paths}) == 1
    draws = InitialDraws(1)
    first, second = (draws(path, "weight").standard_normal(3) for path in paths)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(InitialDraws(1)(paths[1], "weight").standard_normal(3), first)


def test_a_parameter_that_was_not_planned_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        ATTENTION.replace('"query", "key"', '"query"').replace("row.parameter_shapes]", '["query", "key"]]')
    )
    with extensions.allowed(), pytest.raises(ValueError, match='settings of 0.mine does not name "key"'):
        network("- mine\n- dense: classes", (2, 3, 4), images=1, extensions=[str(file)])
