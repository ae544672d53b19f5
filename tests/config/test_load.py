from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cnntrain.config import Choice, load_config, parse_config, resolved_yaml
from cnntrain.errors import ConfigError
from cnntrain.layers import LAYERS
from cnntrain.layers.base import LayerSettings, Shape
from cnntrain.settings import ChoiceFrom
from tests.config.sample import SAMPLE, sample


@pytest.fixture(autouse=True)
def mnist_without_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A faulty config is checked against the data's shape; here these are never the data on disk."""
    monkeypatch.setattr("cnntrain.config.load.describe", lambda settings: (Shape(1, 28, 28), 10))


def failure(text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "a.yaml", overrides)
    return str(caught.value)


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
    assert "train: {epochs: 5, batch_size: 64}\n" in resolved
    assert "warmup_epochs: 0.0" in resolved
    assert "loss: cross_entropy\n" in resolved
    assert "\n- tanh\n" in resolved


def test_load_config_names_the_file_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(sample(("seed: 1", "seed: -1")))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == (f"{path}:1:7: seed must be at least 0; received -1\n    1 | seed: -1\n      |       ^")


# --set


@pytest.mark.parametrize(
    ("override", "change"),
    [
        ("train.epochs=3", ("epochs: 5", "epochs: 3")),
        (" train . epochs = 3", ("epochs: 5", "epochs: 3")),
        ("optimizer.sgd.weight_decay=1e-3", ("5e-4", "0.001")),
        ("network.0.conv2d.filters=8", ("filters: 6", "filters: 8")),
        ("network.0.conv2d.padding=same", ("kernel_size: 5", "kernel_size: 5, padding: same")),
        ("network.1=relu", ("tanh", "relu")),
        ("network.2.max_pool2d=3", ("max_pool2d: 2", "max_pool2d: 3")),
        ("network.2.max_pool2d.stride=1", ("max_pool2d: 2", "max_pool2d: {kernel_size: 2, stride: 1}")),
        ("network.2.max_pool2d.kernel_size=3", ("max_pool2d: 2", "max_pool2d: 3")),
        ("network=[dense: classes]", ("- conv2d: {filters: 6, kernel_size: 5}\n  - tanh\n  - max_pool2d: 2\n  ", "")),
        ("schedule=cosine", ("train:", "schedule: cosine\ntrain:")),
        ("schedule.cosine.warmup_epochs=1", ("train:", "schedule: {cosine: {warmup_epochs: 1}}\ntrain:")),
        ("expect.test_accuracy=0.9", ("train:", "expect: {test_accuracy: 0.9}\ntrain:")),
        ("data.path=a=b", ("data/mnist", "a=b")),
    ],
)
def test_override(override: str, change: tuple[str, str]) -> None:
    assert parse_config(SAMPLE, "a.yaml", [override]) == parse_config(sample(change), "a.yaml")


def test_overrides_apply_in_order() -> None:
    config = parse_config(SAMPLE, "a.yaml", ["schedule=step", "schedule.step.every_epochs=2", "seed=3", "seed=4"])
    assert (config.schedule.name, config.schedule.settings.every_epochs, config.seed) == ("step", 2, 4)
    pair = parse_config(SAMPLE, "a.yaml", ["network.2.max_pool2d=[2, 3]", "network.2.max_pool2d.stride=1"])
    assert (pair.network[2].settings.kernel_size, pair.network[2].settings.stride) == ((2, 3), (1, 1))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs", "expected KEY=VALUE, for example --set train.epochs=3"),
        ("=3", "expected KEY=VALUE, for example --set train.epochs=3"),
        ("a..b=3", "expected KEY=VALUE, for example --set train.epochs=3"),
        (".".join("a" * 5000) + "=1", "expected KEY=VALUE, for example --set train.epochs=3"),
        ("train.epochs=[1", "not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("train.epochs=&a 1", "anchors (&) and aliases (*) are not supported: write the value out"),
        ("train.epochs=x", 'train.epochs must be a whole number; received "x"'),
        ("train.epochs=2.0", "train.epochs must be a whole number; received 2.0"),
        ("train.epochs=true", "train.epochs must be a whole number; received true"),
        ("train.batch_size=", "train.batch_size must be a whole number; received null"),
        ("train.epochs.x=1", 'train.epochs is "5", which has no part "x"; --set train.epochs=... first'),
        ("trian.epochs=3", 'unknown key "trian"; did you mean train? (known: name, seed, data, network, loss, '),
        ("train={epoch: 3}", 'unknown key "epoch" in train; did you mean epochs? (known: epochs, steps, batch_size)'),
        ("network.4=tanh", "network has 4 entries, 0 to 3"),
        ("network.x=tanh", "network has 4 entries, 0 to 3"),
        (f"network.{'9' * 5000}=tanh", "network has 4 entries, 0 to 3"),
        ("network.1.relu.x=1", 'network.1 is "tanh", which has no part "relu"; --set network.1=... first'),
        ("network.1.tanh.x=1", 'unknown key "x" in network.1.tanh (known: none yet)'),
        ("network.1=conv2d", "network.1.conv2d.filters is missing"),
        ("optimizer=adamm", 'unknown optimizer "adamm"'),
        ("optimizer.sgd={momentum: 0.9}", "optimizer.sgd.learning_rate is missing"),
        ("data.source=mnst", 'unknown data source "mnst"; did you mean mnist? (known: mnist, '),
    ],
)
def test_override_errors_begin_with_the_override(override: str, message: str) -> None:
    shown = override if len(override) <= 74 else ""
    first = failure(SAMPLE, override).splitlines()[0]
    assert first.startswith(f"--set {shown}")
    assert f": {message}" in first
    assert "\n      |" not in failure(SAMPLE, override)


def paths_in(value: object, above: str = "") -> list[str]:
    """Every path that `--set` can name in a config."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [path for key, item in inside for path in paths_in(item, f"{above}{key}.")]
    return [above.rstrip("."), *below] if above else below


PATHS = [*paths_in(yaml.safe_load(SAMPLE)), "network.2.max_pool2d.stride", "schedule.step.gamma", "data.normalize"]
VALUES = """\
{}
[]
null
true
-1
1e999
.nan
''
sgd
idx
99999999999999999999
"a\\0b"
[1, x]
[null]
[[1], [2]]
{a: }
{sgd: {}}
{conv2d: 2}
[conv2d, tanh]
{mean: 3, std: [x]}
{epochs: 3, steps: 4}""".splitlines()


@given(st.lists(st.builds("{}={}".format, st.sampled_from(PATHS), st.sampled_from(VALUES)), min_size=1, max_size=3))
def test_no_value_raises_anything_but_a_config_error(overrides: list[str]) -> None:
    try:
        config = parse_config(SAMPLE, "a.yaml", overrides)
    except ConfigError:
        return
    assert parse_config(resolved_yaml(config), "b.yaml") == config


# What is wrong in the file: (old, new, report)

MESSAGES = [
    (
        "seed: 1",
        "sed: 1",
        'a.yaml:1:1: unknown key "sed"; did you mean seed? (known: name, seed, data, network, loss, ',
    ),
    ("seed: 1", "seed: 1.5", "a.yaml:1:7: seed must be a whole number; received 1.5"),
    ("seed: 1", "seed: 1e400", "a.yaml:1:7: seed must be a whole number; received Infinity"),
    ("seed: 1", "seed: 1\nseed: 2", 'a.yaml:2:1: duplicate key "seed", first in line 1'),
    ("seed: 1", "seed: yes", 'a.yaml:1:7: seed must be a whole number; received "yes"'),
    ("seed: 1", "name: a/b", "a.yaml:1:7: name must be usable as a folder's name: letters, digits"),
    ("seed: 1", "name: 5", "a.yaml:1:7: name must be text; received 5"),
    ("epochs: 5", "epochs: 0", "a.yaml:14:11: train.epochs must be at least 1; received 0"),
    ("batch_size: 64", "batch_size: 0", "a.yaml:15:15: train.batch_size must be at least 1; received 0"),
    ("batch_size: 64", "batch_size: '64'", 'a.yaml:15:15: train.batch_size must be a whole number; received "64"'),
    ("batch_size: 64", "batch_size: [64]", "a.yaml:15:15: train.batch_size must be a whole number; received [64]"),
    (
        "batch_size: 64",
        "steps: 3",
        "a.yaml:13:1: train takes either epochs or steps, not both (null unsets one); received",
    ),
    (
        "learning_rate: 0.05",
        "learning_rate: 0",
        "a.yaml:12:24: optimizer.sgd.learning_rate must be greater than 0; rec",
    ),
    ("learning_rate: 0.05, ", "", "a.yaml:12:3: optimizer.sgd.learning_rate is missing"),
    ("0.05", ".nan", "a.yaml:12:24: optimizer.sgd.learning_rate must be finite; received NaN"),
    ("0.05", "1e400", "a.yaml:12:24: optimizer.sgd.learning_rate must be finite; received Infinity"),
    ("0.05", "fast", 'a.yaml:12:24: optimizer.sgd.learning_rate must be a number; received "fast"'),
    ("0.05", "0.05, nesterov: no", 'a.yaml:12:40: optimizer.sgd.nesterov must be true or false; received "no"'),
    (
        "0.05, w",
        "0.05, momntum: 0.9, w",
        'a.yaml:12:30: unknown key "momntum" in optimizer.sgd; did you mean momentum?',
    ),
    ("sgd:", "sdg:", 'a.yaml:12:3: unknown optimizer "sdg"; did you mean sgd?'),
    ("train:", "loss: mean\ntrain:", 'a.yaml:13:7: unknown loss "mean"'),
    ("train:", "loss: {mse: 3}\ntrain:", "a.yaml:13:13: loss.mse takes no settings; received 3"),
    (
        "train:",
        "loss:\ntrain:",
        "a.yaml:13:6: loss must be the name of a loss, with or without settings; received null",
    ),
    (
        "train:",
        "schedule: cosin\ntrain:",
        'a.yaml:13:11: unknown schedule "cosin"; did you mean cosine? (known: consta',
    ),
    (
        "train:",
        "schedule: {multi_step: {epochs: [2, 1]}}\ntrain:",
        "a.yaml:13:24: schedule.multi_step needs its epochs or steps in increasing order; received",
    ),
    (
        "train:",
        "expect: {test_accuracy: 99}\ntrain:",
        "a.yaml:13:25: expect.test_accuracy must be at most 1; received 99",
    ),
    ("train:", "expect: 0.99\ntrain:", "a.yaml:13:9: expect must be a mapping (key: value); received 0.99"),
    ("- tanh", "- tahn", 'a.yaml:8:5: unknown layer "tahn"; did you mean tanh? (known: conv2d, '),
    ("- tanh", "- tahn: {a: 1}", 'a.yaml:8:5: unknown layer "tahn"; did you mean tanh?'),
    ("- tanh", "- tanh: 3", "a.yaml:8:11: network.1.tanh takes no settings; received 3"),
    ("- tanh", "- tanh: {x: 3}", 'a.yaml:8:12: unknown key "x" in network.1.tanh'),
    ("- tanh", "- 3", "a.yaml:8:5: network.1 must be the name of a layer, with or without settings; received 3"),
    ("- tanh", "-", "a.yaml:8:4: network.1 must be the name of a layer, with or without settings; received null"),
    (
        "- tanh",
        "- conv2d:\n    filters: 6\n    kernel_size: 3",
        "a.yaml:8:5: network.1 must name one layer, its settings indented below it; received",
    ),
    ("train:", "schedule: {step: 3}\ntrain:", "a.yaml:13:18: schedule.step needs the names of its settings (warmup_ep"),
    ("- tanh", "- conv2d", "a.yaml:8:5: network.1.conv2d.filters is missing"),
    ("filters: 6", "filter: 6", 'a.yaml:7:14: unknown key "filter" in network.0.conv2d; did you mean filters?'),
    ("filters: 6", "filters: -6", "a.yaml:7:23: network.0.conv2d.filters must be at least 1; received -6"),
    ("kernel_size: 5", "kernel_size: 0", "a.yaml:7:39: network.0.conv2d.kernel_size must be at least 1; received 0"),
    (
        "kernel_size: 5",
        "kernel_size: [5, 0]",
        "a.yaml:7:43: network.0.conv2d.kernel_size.1 must be at least 1; received",
    ),
    (
        "kernel_size: 5",
        "kernel_size: [5]",
        "a.yaml:7:39: network.0.conv2d.kernel_size must be a whole number or a pair",
    ),
    ("max_pool2d: 2", "max_pool2d: 0", "a.yaml:9:17: network.2.max_pool2d must be at least 1; received 0"),
    ("dense: classes", "dense: clases", "a.yaml:10:12: network.3.dense must be "),
    ("source: mnist", "source: mnst", 'a.yaml:3:11: unknown data source "mnst"; did you mean mnist?'),
    ("source: mnist", "sauce: mnist", 'a.yaml:3:3: unknown key "sauce" in data; did you mean source?'),
    (
        "validation: 5000",
        "validation: 1.5",
        "a.yaml:5:15: data.validation must be a number of images (5000) or a fract",
    ),
    ("validation: 5000", "normalize: max", "a.yaml:5:14: data.normalize must be none, unit, standard or {mean: [...]"),
    ("validation: 5000", "normalize: {mean: [0]}", "a.yaml:5:3: data.normalize.std is missing"),
    ("validation: 5000", "augment: [flip]", 'a.yaml:5:13: unknown augmentation "flip" (known: none yet)'),
    ("validation: 5000", "clas_names: []", 'a.yaml:5:3: unknown key "clas_names" in data'),
    (
        "source: mnist",
        "source: idx\n  test_image: x",
        'a.yaml:4:3: unknown key "test_image" in data; did you mean test_i',
    ),
]


@pytest.mark.parametrize(("old", "new", "report"), MESSAGES, ids=[new for _, new, _ in MESSAGES])
def test_message(old: str, new: str, report: str) -> None:
    assert f"\n{report}" in "\n" + failure(sample((old, new)))


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("", "a.yaml: the config is empty"),
        ("# nothing\n", "a.yaml: the config is empty"),
        ("- a\n", "a.yaml:1:1: a config is a mapping (key: value), beginning with `data:`\n    1 | - a\n      | ^"),
        ("hello", "a.yaml:1:1: a config is a mapping (key: value), beginning with `data:`\n    1 | hello\n      | ^"),
        ("seed: 1", "a.yaml: data is missing\na.yaml: network is missing\na.yaml: optimizer is missing"),
        ("network: []", "a.yaml:1:10: network needs 1 or more entries; received []"),
        ("network: conv2d", 'a.yaml:1:10: network must be a list; received "conv2d"'),
        ("data: mnist", 'a.yaml:1:7: data must be a mapping (key: value); received "mnist"'),
        ("a: &a [*a]", "a.yaml:1:4: anchors"),
    ],
)
def test_documents_that_are_no_config(text: str, report: str) -> None:
    assert report in failure(text)


def test_all_problems_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = sample(("seed: 1", "seed: -1\nseed: 2"), ("tanh", "tahn"), ("epochs: 5", "epochs: 0"), ("0.05", "x"))
    assert failure(text, "train.batch_size=0") == (
        """\
a.yaml:1:7: seed must be at least 0; received -1
    1 | seed: -1
      |       ^
a.yaml:2:1: duplicate key "seed", first in line 1
    2 | seed: 2
      | ^
a.yaml:9:5: unknown layer "tahn"; did you mean tanh? (known: LAYERS)
    9 |   - tahn
      |     ^
a.yaml:13:24: optimizer.sgd.learning_rate must be a number; received "x"
   13 |   sgd: {learning_rate: x, weight_decay: 5e-4}
      |                        ^
a.yaml:15:11: train.epochs must be at least 1; received 0
   15 |   epochs: 0
      |           ^
--set train.batch_size=0: train.batch_size must be at least 1; received 0""".replace("LAYERS", ", ".join(LAYERS))
    )


def test_shape_problems_are_reported_with_the_others() -> None:
    report = failure(sample(("kernel_size: 5", "kernel_size: 29"), ("seed: 1", "seed: x")))
    assert 'a.yaml:1:7: seed must be a whole number; received "x"' in report
    assert "a.yaml:7:39: conv2d does not fit: " in report
    report = failure(sample(("dense: classes", "dense: 7"), ("seed: 1", "seed: x")))
    assert "a.yaml:10:5: dense gives 7x1x1 but the data has 10 classes" in report
    # Layers before a faulty one are checked; from there on no shape is known.
    assert "conv2d does not fit" in failure(sample(("kernel_size: 5", "kernel_size: 29"), ("tanh", "tahn")))
    assert "does not fit" not in failure(sample(("max_pool2d: 2", "max_pool2d: 99"), ("tanh", "tahn")))
    # Nothing is said about shapes when the data are not known.
    assert "does not fit" not in failure(sample(("kernel_size: 5", "kernel_size: 29"), ("mnist", "mnst")))


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
