from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from cnntrain.config import Config, parse_config, resolved_yaml
from cnntrain.config.registries import REGISTRIES
from tests.config.sample import sample
from tests.fuzz.damage import FEWER, read

SAMPLE = sample()
WORDS = sorted(
    {
        *Config.model_fields,
        "epochs",
        "steps",
        "batch_size",
        "mean",
        "std",
        "classes",
        "same",
        "softmax",
        "kernel_size:3",
    }
    | {name for registry in REGISTRIES for name in registry.entries}
    | {key for registry in REGISTRIES for entry in registry.entries.values() for key in entry.Settings.model_fields}
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=9),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text(max_size=9)), inner, max_size=4),
    ),
    max_leaves=8,
)


def use(text: str, *overrides: str) -> None:
    """A config that is accepted is written as YAML that means the same."""
    config = read(lambda: parse_config(text, "fuzz.yaml", overrides))
    if config is not None:
        again = parse_config(resolved_yaml(config), "fuzz.yaml")
        assert again == config


@given(st.text(max_size=200))
@example("a: \ud800")
@example('"\\ud800": 1')
def test_any_text(text: str) -> None:
    use(text)


SIGNS = [*":-,{}[]\n#'\"|>&*!%@`?~\t ", "\n\n", "\n  ", "---", "..."]
YAML = st.lists(st.one_of(st.sampled_from(SIGNS), st.sampled_from(WORDS)), max_size=40).map("".join)


@FEWER
@given(YAML)
def test_pieces_of_yaml(text: str) -> None:
    use(text)


@FEWER
@given(
    st.integers(0, len(SAMPLE)),
    st.integers(0, 12),
    st.one_of(
        YAML, st.text(max_size=12), st.sampled_from(['"\\e[2J"', "\u202e", '"\\ud83d"', "1e999", "0x" + "f" * 15])
    ),
)
@example(SAMPLE.index("tanh"), 4, "softmax")
@example(SAMPLE.index("classes"), 7, "0xfffffffffffffff")  # was written back as a float
@example(SAMPLE.index("mnist"), 5, '"\\ud83d"')
def test_a_damaged_config(at: int, length: int, new: str) -> None:
    use(SAMPLE[:at] + new + SAMPLE[at + length :])


@FEWER
@given(st.dictionaries(st.sampled_from(sorted(Config.model_fields)), VALUES, max_size=4))
@example({"data": {"source": "npz", "path": "x", "normalize": {"mean": 0, "std": 1e-300}}})
@example({"network": [{"repeat": {"times": 10**6, "layers": ["relu"]}}]})
def test_any_value_of_the_sections(values: dict[str, Any]) -> None:
    text = json.dumps(values)
    use(text)
    for key, value in values.items():
        use(SAMPLE, f"{key}={json.dumps(value)}")


PATH = st.lists(st.one_of(st.sampled_from(WORDS), st.integers(-1, 6).map(str), st.text(max_size=4)), max_size=5).map(
    ".".join
)


@FEWER
@given(PATH, st.one_of(VALUES.map(json.dumps), YAML, st.text(max_size=20)))
@example("network.1", "softmax")
@example("schedule", "{cosine:{warmup_epochs:1}}")
@example("data.class_names", '["\\ud800"]')
@example("extensions.0.x", "1")
@example("." * 40, "")
def test_overrides(path: str, value: str) -> None:
    use(SAMPLE, f"{path}={value}")


@given(st.lists(st.text(max_size=30), max_size=3))
def test_any_overrides(arguments: list[str]) -> None:
    use(SAMPLE, *arguments)
