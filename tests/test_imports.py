"""What a command imports, in processes of its own: looking at a config needs no compiler, help not even the config."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cnntrain.cli import COMMANDS
from tests.layers.examples import EXAMPLES

REPO = Path(__file__).parents[1]
CONFIG = "configs/mnist-lenet5.yaml"
COMPILER = {"numba", "llvmlite"}
HEAVY = COMPILER | {"pydantic", "numpy", "yaml", "tqdm", "safetensors"}
IMPORTED = re.compile(r"^import time: +\d+ \| +\d+ \| +(\w+)", re.MULTILINE)


def python(*arguments: str, **environment: str) -> tuple[str, set[str]]:
    """Run Python; return what it printed, and the names of the top-level modules that it imported."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True, text=True, cwd=REPO, env={**os.environ, **environment}, check=False,
    )  # fmt: skip
    assert result.returncode == 0, re.sub(r"import time: .*\n", "", result.stderr)
    imported = set(IMPORTED.findall(result.stderr))
    assert "encodings" in imported, "the interpreter's own imports are there: its report was understood"
    return result.stdout, imported


def cnntrain(*arguments: str, **environment: str) -> tuple[str, set[str]]:
    return python("-m", "cnntrain", *arguments, **environment)


def test_the_reader_of_imports() -> None:
    _, imported = python("-c", "import numba, pydantic")
    assert imported >= HEAVY - {"yaml", "tqdm", "safetensors"}


def test_the_package() -> None:
    assert python("-c", "import cnntrain")[1] & HEAVY == set()


HELP = [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS), ["data", "inspect", "--help"]]


@pytest.mark.parametrize("arguments", HELP, ids=" ".join)
def test_help(arguments: list[str]) -> None:
    assert cnntrain(*arguments)[1] & HEAVY == set()


def test_the_names_of_published_data_sets_need_no_compiler() -> None:
    text, imported = cnntrain("data", "download", "--help")
    assert "{mnist|fashion-mnist|cifar10" in text
    assert imported & COMPILER == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_that_completes(shell: str) -> None:
    text, imported = cnntrain(_CNNTRAIN_COMPLETE=f"{shell}_source")
    assert "_CNNTRAIN_COMPLETE" in text
    assert imported & HEAVY == set()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", set(COMMANDS)),
        ("tr", {"train"}),
        ("train --over", set()),
        ("train --re", {"--resume", "--report", "--recipe"}),
    ],
)
def test_completion(words: str, found: set[str]) -> None:
    count = len(words.split()) or 1
    text, imported = cnntrain(_CNNTRAIN_COMPLETE="bash_complete", COMP_WORDS=f"cnntrain {words}", COMP_CWORD=str(count))
    assert {line.partition(",")[2] for line in text.split()} == found
    assert imported & HEAVY == set()


def test_completion_of_published_data_sets() -> None:
    text, imported = cnntrain(
        _CNNTRAIN_COMPLETE="bash_complete", COMP_WORDS="cnntrain data download mn", COMP_CWORD="3"
    )
    assert text.split() == ["plain,mnist"]
    assert imported & COMPILER == set()


def test_fetching_data() -> None:
    assert cnntrain("data", "download", "mnist", "--to", "data/mnist")[1] & COMPILER == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--config", CONFIG],
        ["check", "--config", CONFIG, "--json", "--set", "data.augment=[{mixup: 0.2}]", "--set", "loss=hinge"],
        ["check", "--schema"],
        ["data", "inspect", "--config", CONFIG, "--json", "--split", "test"],
    ],
    ids=" ".join,
)
def test_looking_at_a_config(arguments: list[str]) -> None:
    text, imported = cnntrain(*arguments)
    assert text
    assert imported & COMPILER == set()


def test_shapes_and_costs_of_every_layer() -> None:
    """`check` asks every layer of a config; here each is asked, in one process."""
    head = "data: {source: mnist, path: x}\noptimizer: {sgd: 0.1}\nnetwork: ["
    cases = [
        (f"{head}{{{example.yaml}}}, dense: classes]", example.shape)
        for examples in EXAMPLES.values()
        for example in examples
    ]
    code = (
        "import json, sys\n"
        "from cnntrain.config import infer_shapes, parse_config\n"
        "from cnntrain.shape import Shape\n"
        "for text, shape in json.loads(sys.argv[1]):\n"
        "    row = infer_shapes(parse_config(text, 'a.yaml'), Shape(*shape), 10)[0]\n"
        "    print(row.name, row.parameters, row.macs)"
    )
    text, imported = python("-c", code, json.dumps(cases))
    assert {line.split()[0] for line in text.splitlines()} == set(EXAMPLES)
    assert imported & COMPILER == set()


@pytest.mark.parametrize(
    "part", ["losses", "optimizers", "augmentations", "data", "schedules", "initializers", "config", "layers"]
)
def test_every_module_of_what_a_config_chooses_from(part: str) -> None:
    """Kernels are imported where something is made that runs them."""
    code = (
        "import importlib, pkgutil\n"
        f"import cnntrain.{part} as part\n"
        "for module in pkgutil.iter_modules(part.__path__, part.__name__ + '.'):\n"
        "    print(importlib.import_module(module.name).__name__)"
    )
    text, imported = python("-c", code)
    assert len(text.splitlines()) >= 4
    assert imported & COMPILER == set()
