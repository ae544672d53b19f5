"""Which number is asked for; what is said where there is none; layers of the user's own; the strip of layers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnntrain import extensions
from cnntrain.errors import ArgumentError
from cnntrain.explain.asked import NO_FORMULA, Asked, Number, answer
from cnntrain.explain.example import Example, example_of
from cnntrain.explain.pictures import Wanted
from cnntrain.explain.strip import strip_of
from cnntrain.explain.text import WIDTH, head_text, number_text, strip_text
from tests.training.small import write_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    write_config(folder)
    return folder


@pytest.fixture(scope="module")
def example(folder: Path) -> Example:
    return example_of(folder / "digits.yaml", from_config=True, wanted=Wanted(index=3, images=2))


def ask(example: Example, **asked: str) -> Number:
    found = answer(Asked(**asked), example, example.trace())
    assert found is not None
    return found


def test_a_value(example: Example) -> None:
    trace = example.trace()
    found = ask(example, layer="0.conv2d", at="1,2,3,4")
    assert found.kind == "value"
    assert found.difference is None
    assert found.derivation.last.name == "y[1,2,3,4]"
    assert found.derivation.last.value == pytest.approx(trace.layers[0].output[1, 2, 3, 4], rel=1e-12)
    assert len(found.derivation.last.terms) == 10  # nine taps and the bias
    window = found.derivation.grids[0][1]
    np.testing.assert_array_equal(np.array(window.values, float), trace.images[1, 0, 3:6, 4:7])
    assert ask(example, layer="0", at="2,3,4").derivation.last.name == "y[0,2,3,4]"


def test_a_delta_a_weight_and_a_logit(example: Example) -> None:
    trace = example.trace()
    delta = ask(example, layer="1.tanh", grad_input="0,5,5")
    assert trace.layers[1].grad_input is not None
    assert delta.derivation.last.value == pytest.approx(trace.layers[1].grad_input[0, 0, 5, 5])
    assert delta.difference is not None
    assert delta.difference.agrees
    weight = ask(example, layer="3.dense", weight="2,17")
    assert weight.update is not None
    assert weight.update.last.value == pytest.approx(trace.layers[3].parameters["weight"].updated[2, 17])
    bias = ask(example, layer="3.dense", parameter="bias=2")
    assert bias.derivation.last.value == pytest.approx(trace.grad_logits[:, 2].sum())
    assert ask(example, logit="1,7").derivation.last.value == pytest.approx(trace.grad_logits[1, 7])


WRONG = [
    ({"layer": "xyz"}, 'no layer "xyz" (known: 0.conv2d, 1.tanh, 2.max_pool2d, 3.dense)'),
    ({"layer": "0.conv", "at": "0,0,0"}, 'no layer "0.conv"; did you mean 0.conv2d?'),
    ({"layer": "0.conv2d"}, "--layer 0.conv2d says no number: give --at 0,0,0 (of its output, 4x12x12), --grad-input"),
    ({"at": "0,0,0"}, "--at needs --layer PATH; the layers are 0.conv2d, 1.tanh, 2.max_pool2d, 3.dense"),
    ({"layer": "0", "at": "0,0,0", "weight": "0,0,0,0"}, "one number at a time: --at and --weight are given"),
    ({"layer": "0", "logit": "3"}, "--logit is about the loss: leave --layer out"),
    (
        {"layer": "0", "at": "4,0,0"},
        "--at 4,0,0: the output of 0.conv2d is 4x12x12: channel,row,column from 0",
    ),
    ({"layer": "0", "at": "0,0"}, "--at 0,0: the output of 0.conv2d is 4x12x12"),
    ({"layer": "0", "at": "2,0,0,0"}, "of one of the 2 images: image,channel,row,column"),
    ({"layer": "0", "at": "-1,0,0"}, "--at -1,0,0: must be whole numbers from 0 on"),
    ({"layer": "0", "grad_input": "1,0,0"}, "--grad-input 1,0,0: the input of 0.conv2d is 1x14x14"),
    ({"layer": "3", "at": "10"}, "--at 10: the output of 3.dense is 10x1x1: channel from 0"),
    (
        {"layer": "0", "weight": "0,0,3,0"},
        "--weight 0,0,3,0: weight of 0.conv2d has 36 numbers, 4x1x3x3: 0,0,0,0 to",
    ),
    ({"layer": "0", "parameter": "bias"}, '--parameter bias: give a name and an index, for example "bias=2"'),
    ({"layer": "0", "parameter": "scale=1"}, '0.conv2d has no "scale": it learns weight, bias'),
    ({"layer": "1", "weight": "0"}, '1.tanh has no "weight": it learns nothing'),
    ({"logit": "10"}, "--logit 10: the network gives 10 logits, 0 to 9"),
]


@pytest.mark.parametrize(("asked", "text"), WRONG)
def test_what_is_not_there(example: Example, asked: dict[str, str], text: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(text)):
        answer(Asked(**asked), example, example.trace())


SCALED = """
import numpy as np

from cnntrain.extending import Field, InitializerChoice, Layer, LayerSettings


class ScaledSettings(LayerSettings):
    factor_init: InitializerChoice = Field({"constant": 1.5}, validate_default=True, description="Initial value.")

    def output_shape(self, input_shape):
        return input_shape

    def parameter_shapes(self, input_shape):
        return {"factor": (1,)}


class Scaled(Layer):
    name = "scaled"
    Settings = ScaledSettings

    def __init__(self, row, context):
        self.factor = context.parameter("factor", row.settings.factor_init)
        self.parameters = [self.factor]
        self.output = context.buffer(row.output_shape)
        self.room = context.buffer(row.input_shape)

    def forward(self, x, batch):
        self.x = x
        self.output[:] = self.factor.value[0] * x
        return self.output

    def backward(self, grad_output, batch):
        self.factor.gradient[0] = np.sum(grad_output * self.x[: len(grad_output)])
        self.room[: len(grad_output)] = self.factor.value[0] * grad_output
        return self.room


LAYERS = [Scaled]
"""


def test_a_layer_of_the_users_own_shows_values_and_the_central_difference(folder: Path) -> None:
    (folder / "scaled.py").write_text(SCALED)
    layers = "network=[scaled, tanh, dense: classes]"
    with extensions.allowed():
        made = example_of(
            folder / "digits.yaml", from_config=True, overrides=[f"extensions=[{folder / 'scaled.py'}]", layers]
        )
    trace = made.trace()
    value = ask(made, layer="0", at="0,2,3")
    assert value.derivation.title == NO_FORMULA
    assert value.derivation.last.value == trace.layers[0].output[0, 0, 2, 3]
    delta = ask(made, layer="0", grad_input="0,5,7")
    assert trace.layers[0].grad_input is not None
    assert delta.derivation.last.value == trace.layers[0].grad_input[0, 0, 5, 7]
    assert delta.difference is not None
    assert delta.difference.agrees
    assert "central difference" in number_text(delta)
    name, parameter = next(iter(trace.layers[0].parameters.items()))
    learned = ask(made, layer="0", parameter=f"{name}=0")
    assert learned.derivation.last.value == parameter.gradient[0]
    assert learned.difference is not None
    assert learned.difference.agrees
    assert learned.update is not None  # that formula is the optimiser's, which is ours


def test_the_strip(folder: Path) -> None:
    conv = "{conv2d: {filters: 4, kernel_size: 3}}"
    layers = f"network=[{conv}, relu, {{residual: [sigmoid]}}, {{max_pool2d: 2}}, {{dense: classes}}]"
    made = example_of(folder / "digits.yaml", from_config=True, wanted=Wanted(images=3), overrides=[layers])
    bias = made.network.parameters[1]
    bias.value[:] = (-100.0, 0.0, 100.0, -100.0)
    trace = made.trace()
    rows = {row.path: row for row in strip_of(trace)}
    assert list(rows) == [
        "0.conv2d", "1.relu", "2.residual.body.0.sigmoid", "2.residual", "3.max_pool2d", "4.dense",
    ]  # fmt: skip
    assert rows["1.relu"].dead == 0.5  # the two channels that are pushed down
    assert rows["2.residual.body.0.sigmoid"].dead == 0.25  # the one that is pushed up; sigmoid(0) is not
    assert rows["0.conv2d"].dead is None
    first, layer = rows["0.conv2d"], trace.layers[0]
    assert (first.low, first.high) == (layer.output.min(), layer.output.max())
    assert layer.grad_output is not None
    assert first.delta == pytest.approx(np.sqrt(np.mean(layer.grad_output**2)))
    weight = layer.parameters["weight"]
    assert first.learned[0].gradient == pytest.approx(np.sqrt(np.mean(weight.gradient**2)))
    moved = np.sqrt(np.mean((weight.updated - weight.value) ** 2)) / np.sqrt(np.mean(weight.value**2))
    assert first.learned[0].ratio == pytest.approx(moved)
    text = strip_text(list(rows.values()), made, trace)
    assert "50%" in next(line for line in text.splitlines() if line.startswith("1.relu"))
    assert "image 2: softmax " in text


def test_the_text_keeps_to_the_width_and_shows_the_largest_terms(example: Example) -> None:
    for asked in ({"layer": "0", "weight": "1,0,1,1"}, {"layer": "3", "at": "4"}, {"layer": "2", "at": "0,1,1"}):
        text = number_text(ask(example, **asked))
        assert max(map(len, text.splitlines())) <= WIDTH + 16, text  # the end of a compared sum may stand out
    text = number_text(ask(example, layer="0", weight="1,0,1,1"))
    assert "276 smaller ones" in text  # of 2 x 12 x 12
    assert "288 terms" in text
    assert "= the kernels'" in text
    assert "w after: a step of sgd, its number 1" in text


def test_a_kink_is_called_one(folder: Path) -> None:
    layers = "network=[{conv2d: {filters: 4, kernel_size: 3}}, relu, {dense: classes}]"
    made = example_of(folder / "digits.yaml", from_config=True, overrides=[layers])
    weight, bias = made.network.parameters[:2]
    weight.value[0] = 0  # the outputs of this filter are exactly its bias
    bias.value[0] = 0
    found = ask(made, layer="0", parameter="bias=0")
    assert found.difference is not None
    assert found.difference.value is None
    assert "none, a kink: within 1e-07 the network decides otherwise" in number_text(found)


def test_names_of_strangers_are_harmless(example: Example) -> None:
    hostile = replace(example, class_names=tuple(f"\x1b[31m{name}" for name in example.class_names))
    trace = hostile.trace()
    for text in (head_text(hostile, trace), strip_text(strip_of(trace), hostile, trace)):
        assert "\x1b" not in text
        assert "\\x1b[31m" in text


def test_batch_norm_and_others_inside_a_residual_in_words(folder: Path) -> None:
    layers = "network=[{residual: [batch_norm2d, {dropout: 0.5}]}, {local_response_norm: 3}, {dense: classes}]"
    wanted = Wanted(images=2)
    made = example_of(folder / "digits.yaml", from_config=True, wanted=wanted, overrides=[layers])
    text = number_text(ask(made, layer="0.residual.body.0.batch_norm2d", grad_input="0,6,6"))
    assert "mean = Σ x / 392, 392 terms" in text
    assert "- scale/s Σδ/M" in text
    assert "agrees)" in text
    text = number_text(ask(made, layer="0.residual.body.1.dropout", at="0,6,6"))
    assert "dropped in this step" in text or "kept, and scaled up" in text
    assert "2 terms" in number_text(ask(made, layer="0", at="0,6,6"))
    assert "scale = k + alpha/3" in number_text(ask(made, layer="1", at="0,6,6"))
