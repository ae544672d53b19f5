from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest

from cnntrain.config import Choice, load_config, parse_config, resolved_yaml
from cnntrain.errors import ConfigError
from cnntrain.layers import LAYERS, LayerSettings
from cnntrain.settings import ChoiceFrom
from cnntrain.shape import Shape
from tests.config.sample import SAMPLE, failure, sample


def test_values_and_defaults() -> None:
    config = parse_config(SAMPLE, "configs/sample.yaml")
    assert (config.name, config.seed, config.expect) == ("sample", 1, None)
    assert [layer.name for layer in config.network] == ["conv2d", "tanh", "max_pool2d", "dense"]
    assert config.network[0].settings.kernel_size == (5, 5)
    assert config.network[2].settings.kernel_size == (2, 2)
    assert config.network[3].settings.units == "classes"
    assert (config.loss.name, config.schedule.name) == ("cross_entropy", "constant")
    assert config.optimizer.settings.weight_decay == 0.0005
    assert (config.train.epochs, config.train.steps, config.train.batch_size) == (5, None, 64)


def test_epochs_are_five_unless_epochs_or_steps_are_given() -> None:
    without = sample(("  epochs: 5\n", ""))
    assert parse_config(without, "a.yaml").train.epochs == 5
    assert parse_config(sample(("train:\n  epochs: 5\n  batch_size: 64\n", "")), "a.yaml").train.epochs == 5
    steps = parse_config(without, "a.yaml", ["train.steps=7"]).train
    assert (steps.epochs, steps.steps) == (None, 7)
    steps = parse_config(SAMPLE, "a.yaml", ["train.epochs=null", "train.steps=7"]).train
    assert (steps.epochs, steps.steps) == (None, 7)


@pytest.mark.parametrize(
    ("file", "name"), [("my net.yaml", "my-net"), ("..yaml", "unnamed"), ("_x.v2.yaml", "x.v2"), ("a" * 200, "a" * 100)]
)
def test_name_is_the_stem_made_safe(file: str, name: str) -> None:
    config = parse_config(SAMPLE, file)
    assert config.name == name
    assert parse_config(SAMPLE, "other.yaml", [f"name={name}"]).name == name


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("- tanh", "- tanh:"),
        ("- tanh", "- tanh: {}"),
        ("- max_pool2d: 2", "- max_pool2d: [2, 2]"),
        ("- max_pool2d: 2", "- max_pool2d: {kernel_size: 2}"),
        ("- max_pool2d: 2", "- max_pool2d:\n      kernel_size: 2"),
        ("- dense: classes", "- dense: {units: classes}"),
        ("train:", "schedule: {constant: {warmup_epochs: 0}}\ntrain:"),
        ("train:", "loss: {cross_entropy: }\ntrain:"),
    ],
)
def test_forms_of_a_choice(written: str, same: str) -> None:
    assert parse_config(sample((written, same)), "a.yaml") == parse_config(SAMPLE, "a.yaml")


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["train.epochs=null", "train.steps=3", "schedule={inverse: {gamma: 1e-4, power: 0.75}}"],
        ["data.normalize={mean: [0.1307], std: [0.3081]}", "data.validation=0.1", "network.0.conv2d.padding=same"],
        ["expect={test_accuracy: 0.99, source: 'no'}", "name=1e-3x", "schedule={multi_step: {epochs: [1, 2.5]}}"],
    ],
)
def test_resolved_yaml_loads_to_the_same_config(overrides: list[str]) -> None:
    config = parse_config(SAMPLE, "a.yaml", overrides)
    resolved = resolved_yaml(config)
    assert parse_config(resolved, "config.yaml") == config
    assert resolved_yaml(parse_config(resolved, "config.yaml")) == resolved


def test_resolved_yaml_writes_defaults_out() -> None:
    resolved = resolved_yaml(parse_config(sample(("  batch_size: 64\n", "")), "a.yaml"))
    assert "name: a\n" in resolved
    train = "train:\n  epochs: 5\n  batch_size: 64\n  drop_last: false\n  shards: 1\n  log: [csv]\n"
    assert f"{train}  convolution: fastest\n" in resolved
    assert "warmup_epochs: 0.0" in resolved
    assert "loss:\n  cross_entropy: {label_smoothing: 0.0}\n" in resolved
    assert "\n- tanh\n" in resolved


def test_load_config_names_the_file_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(sample(("seed: 1", "seed: -1")))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == (f"{path}:1:7: seed must be at least 0; received -1\n    1 | seed: -1\n      |       ^")


class BodySettings(LayerSettings):
    main = "body"
    body: list[Annotated[Choice, ChoiceFrom("layer", lambda: LAYERS)]]

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


class Body:
    Settings = BodySettings


def test_layers_within_layers_need_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAYERS, "body", Body)
    text = sample(("- tanh", "- body:\n    - tanh\n    - body: {body: [max_pool2d: 2]}"))
    config = parse_config(text, "a.yaml", ["network.1.body.1.body.body.0.max_pool2d.stride=1"])
    inner = config.network[1].settings.body[1].settings.body[0]
    assert (inner.name, inner.settings.stride) == ("max_pool2d", (1, 1))
    assert parse_config(resolved_yaml(config), "a.yaml") == config
    report = failure(text.replace("max_pool2d: 2]", "max_pool2d: {kernl_size: 2}]"))
    assert 'a.yaml:10:34: unknown key "kernl_size" in network.1.body.1.body.body.0.max_pool2d; did you mean' in report
    assert "a.yaml:9:7: unknown layer" in failure(text.replace("    - tanh", "    - tahn"))
