"""The JSON schema: what editors accept is what configs are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cnntrain.config import parse_config, resolved_yaml
from cnntrain.config.document import Document
from cnntrain.config.schema import json_schema
from tests.config.sample import SAMPLE, sample

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def values(text: str) -> Any:
    return Document.parse(text, "a.yaml").values([])


def test_there_are_configs() -> None:
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_configs_are_valid(validator: Draft202012Validator, path: Path) -> None:
    validator.validate(values(path.read_text()))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_resolved_configs_are_valid(validator: Draft202012Validator, path: Path) -> None:
    validator.validate(values(resolved_yaml(parse_config(path.read_text(), str(path)))))


GOOD = [
    ("- tanh", "- residual: [tanh]"),
    ("- tanh", "- residual: {body: [conv2d: {filters: 6, kernel_size: [1, 1]}, tanh], shortcut: zero_padded}"),
    ("- tanh", "- branches: {sequences: [[], [tanh, {max_pool2d: {kernel_size: 1}}]], merge: add}"),
    ("- tanh", "- repeat: {times: 2, layers: [residual: [relu]]}"),
    ("- tanh", "- leaky_relu: 0.1"),
    ("kernel_size: 5", "kernel_size: 5, padding: same"),
    ("kernel_size: 5", "kernel_size: 5, padding: [1, 2], weight_init: {he: {fan: out}}"),
    ("kernel_size: 5", "kernel_size: 5, weight_init: orthogonal, bias_init: {constant: 0.1}"),
    ("source: mnist", "source: mnist\n  normalize: {mean: 0.1, std: [0.3]}"),
    ("validation: 5000", "validation: 0.1"),
    ("validation: 5000", "normalize: mean_image"),
    ("validation: 5000", "normalize: {mean_image: {unit: false}}"),
    ("validation: 5000", "augment: [{random_crop: {padding: [4, 0], mode: reflect}}, horizontal_flip, {mixup: 0.2}]"),
    ("validation: 5000", "augment: [{horizontal_flip: alternating}, {shift: [2, 0.1]}, {scale: [0.9, 1.1]}]"),
    ("source: mnist", "source: folder\n  resize: [32, 32]\n  color: grey"),
    ("source: mnist", "source: csv\n  shape: [28, 28]\n  header: false\n  label: digit"),
    ("sgd: {learning_rate: 0.05, weight_decay: 5e-4}", "sgd: 0.1"),
    ("train:", "schedule: {cosine: {warmup_epochs: 1}}\nextensions: []\ntrain:"),
]
BAD = [
    ("- tanh", "- tahn"),
    ("- tanh", "- residual"),
    ("- tanh", "- residual: [tahn]"),
    ("- tanh", "- branches: [[tanh]]"),
    ("- tanh", "- tanh: 3"),
    ("- tanh", "- {tanh: {}, relu: {}}"),
    ("- tanh", "- repeat: {times: 0, layers: [tanh]}"),
    ("filters: 6", "filters: 0"),
    ("filters: 6", "filter: 6"),
    ("kernel_size: 5", "kernel_size: [5]"),
    ("kernel_size: 5", "kernel_size: 5, padding: some"),
    ("source: mnist", "source: mnits"),
    ("validation: 5000", "validation: 1.5"),
    ("validation: 5000", "train_images: x"),
    ("validation: 5000", "augment: [{shift: [1, 2, 3]}]"),
    ("validation: 5000", "augment: [random_crop]"),
    ("validation: 5000", "normalize: {mean_image: {units: false}}"),
    ("source: mnist", "source: folder\n  storage: disk"),
    ("learning_rate: 0.05", "learning_rate: -1"),
    ("epochs: 5", "epochs: five"),
    ("seed: 1", "sed: 1"),
]


@pytest.mark.parametrize("change", GOOD, ids=lambda change: change[1])
def test_what_is_right(validator: Draft202012Validator, change: tuple[str, str]) -> None:
    text = sample(change)
    parse_config(text, "a.yaml")
    validator.validate(values(text))


@pytest.mark.parametrize("change", BAD, ids=lambda change: change[1])
def test_what_is_wrong(validator: Draft202012Validator, change: tuple[str, str]) -> None:
    assert not validator.is_valid(values(sample(change)))
    assert validator.is_valid(values(SAMPLE))


def test_every_text_reaches_the_editor() -> None:
    definitions = json_schema()["$defs"]
    assert "learned filters" in definitions["layer.conv2d"]["description"]
    assert definitions["layer.conv2d"]["properties"]["filters"]["description"].startswith("Number of filters")
