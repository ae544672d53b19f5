from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cnntrain.config import parse_config, resolved_yaml
from cnntrain.errors import ConfigError
from tests.config.sample import SAMPLE, failure, sample


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
        (
            "train={epoch: 3}",
            'unknown key "epoch" in train; did you mean epochs? (known: epochs, steps, batch_size, drop_last, shards, '
            "log, convolution)",
        ),
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
