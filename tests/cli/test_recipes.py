from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from cnntrain.config import load_config

CONFIGS = Path(__file__).parents[2] / "configs"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments])


def test_the_list_has_every_recipe_with_what_it_promises() -> None:
    lines = run("recipes").stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    lenet = next(line for line in lines if line.startswith("mnist-lenet5 "))
    assert lenet.split(maxsplit=2)[1:] == ["99.00%", "LeNet-5 on MNIST: 61,706 parameters, tanh, max-pooling."]
    listed = json.loads(run("recipes", "--json").stdout)["recipes"]
    for recipe in listed:
        expect = load_config(CONFIGS / f"{recipe['name']}.yaml").expect
        assert expect is not None
        assert (recipe["test_accuracy"], recipe["source"]) == (expect.test_accuracy, expect.source)


def test_one_is_printed_as_it_is() -> None:
    text = (CONFIGS / "nielsen-1.yaml").read_text()
    assert run("recipes", "nielsen-1").stdout == text
    assert json.loads(run("recipes", "nielsen-1", "--json").stdout)["text"] == text


@pytest.mark.parametrize("arguments", [["recipes"], ["check", "--recipe"], ["train", "--recipe"]])
def test_an_unknown_recipe(arguments: list[str]) -> None:
    result = run(*arguments, "mnist-lenet\x1b5")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        'no recipe is named "mnist-lenet\\x1b5"; did you mean mnist-lenet5? (`cnntrain recipes` lists them)\n'
    )
