"""What everything that a config can choose must have: a description of every key, and values to compare with.

Gradients are checked by `tests/layers/test_every_layer.py`, which needs an example of every layer.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cnntrain.config import Config, ExpectSettings, TrainSettings
from cnntrain.config.registries import REGISTRIES
from cnntrain.layers import LAYERS

TESTS = Path(__file__).parent

# For every layer the test that compares it with values that another program computed, or that are known exactly.
GOLDEN = {
    "conv2d": "golden/test_golden.py::test_convolution",
    "dense": "golden/test_structures.py::test_residual_and_branches",
    "max_pool2d": "golden/test_golden.py::test_max_pooling",
    "relu": "golden/test_golden.py::test_activation",
    "leaky_relu": "golden/test_structures.py::test_residual_and_branches",
    "sigmoid": "golden/test_golden.py::test_activation",
    "tanh": "golden/test_golden.py::test_activation",
    "flatten": "golden/test_structures.py::test_residual_and_branches",
    "residual": "golden/test_structures.py::test_residual_and_branches",
    "branches": "golden/test_structures.py::test_residual_and_branches",
    **dict.fromkeys(
        (
            "avg_pool2d",
            "global_avg_pool2d",
            "batch_norm2d",
            "local_response_norm",
            "prelu",
            "elu",
            "selu",
            "gelu",
            "silu",
        ),
        "golden/test_layers.py::test_layer",
    ),
    "softplus": "golden/test_layers.py::test_layer",
    "dropout": "layers/test_dropout.py::test_the_mask_is_that_of_split_mix_64",
    "repeat": "layers/test_containers.py::test_repeat_is_the_network_written_out",
}

ENTRIES = [(registry.kind, name, entry) for registry in REGISTRIES for name, entry in registry.entries.items()]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_has_golden_values(name: str) -> None:
    assert name in GOLDEN, f"name the test of {name} against golden values in GOLDEN, tests/test_registrations.py"
    file, _, function = GOLDEN[name].partition("::")
    tree = ast.parse((TESTS / file).read_text())
    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("kind", "name", "entry"), ENTRIES, ids=lambda value: value if isinstance(value, str) else "")
def test_every_key_is_described(kind: str, name: str, entry: Any) -> None:
    without = [key for key, field in entry.Settings.model_fields.items() if not field.description]
    assert not without, f"{name}: give {', '.join(without)} a Field(description=...)"
    assert entry.__doc__, f"{name}: give its class a docstring: the reference page shows it"
    assert entry.name == name


def test_no_two_are_described_alike() -> None:
    docs = Counter((kind, entry.__doc__.strip().splitlines()[0]) for kind, _, entry in ENTRIES)
    assert [doc for doc, count in docs.items() if count > 1] == []


@pytest.mark.parametrize("settings", [Config, TrainSettings, ExpectSettings])
def test_every_key_of_the_config_is_described(settings: Any) -> None:
    assert [key for key, field in settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(("kind", "name", "entry"), ENTRIES, ids=lambda value: value if isinstance(value, str) else "")
def test_the_main_setting_exists(kind: str, name: str, entry: Any) -> None:
    assert entry.Settings.main is None or entry.Settings.main in entry.Settings.model_fields
