"""Every command takes a config in the same three ways."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from cnntrain.cli import main
from tests.training.small import write_config

CONFIG = "configs/mnist-lenet5.yaml"
TAKE_A_CONFIG = [["check"], ["train"], ["bench"], ["warmup"], ["reproduce"], ["gradcheck"], ["data", "inspect"]]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_the_three_ways_are_one() -> None:
    printed = {run("check", *way).stdout for way in ([CONFIG], ["--config", CONFIG], ["--recipe", "mnist-lenet5"])}
    assert len(printed) == 1
    assert "total                     61,706  416,520" in printed.pop()


@pytest.mark.parametrize("command", TAKE_A_CONFIG, ids=" ".join)
def test_two_configs_or_none_are_wrong_usage(command: list[str]) -> None:
    none = run(*command)
    assert (none.exit_code, none.stdout) == (2, "")
    assert "CONFIG, --config FILE or --recipe NAME" in none.stderr
    twice = run(*command, "a.yaml", "--recipe", "mnist-lenet5")
    assert (twice.exit_code, twice.stdout) == (2, "")
    assert "give one" in twice.stderr
    options = run(*command, "--config", "a.yaml", "--recipe", "mnist-lenet5")
    assert "--config and --recipe both name a config: give one of them" in options.stderr


@pytest.mark.parametrize("command", TAKE_A_CONFIG, ids=" ".join)
def test_a_plain_argument_is_the_config(command: list[str]) -> None:
    result = run(*command, "none.yaml")
    assert (result.exit_code, result.stderr) == (2, "none.yaml: cannot read the config: No such file or directory\n")


def test_published_data_need_not_be_there_for_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("check", "--recipe", "mnist-lenet5")
    assert result.exit_code == 0
    assert "  data         1x28x28\n" in result.stdout
    assert result.stderr == (
        "note: data/mnist: not there, so the published size of its images is taken; fetch the data with: cnntrain "
        "data download mnist\n"
    )
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    assert "missing train-images-idx3-ubyte.gz" in run("check", "--recipe", "mnist-lenet5").stderr


def test_the_schema_of_a_config_knows_its_layers(tmp_path: Path) -> None:
    config = write_config(tmp_path, extensions=["examples/my_layers.py"])
    assert "layer.softsign" not in json.loads(run("check", "--schema").stdout)["$defs"]
    refused = run("check", config, "--schema")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "allow it with --allow-extensions" in refused.stderr
    schema = json.loads(run("check", config, "--schema", "--allow-extensions").stdout)
    values = yaml.safe_load(config.read_text()) | {"network": ["softsign", {"channel_scale": {}}, {"dense": "classes"}]}
    jsonschema.validate(values, schema)
    values["network"] = ["softsing"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, schema)


@pytest.mark.parametrize("seconds", ["nan", "0", "-1", "soon"])
def test_a_patience_that_is_no_time(seconds: str) -> None:
    result = run("train", CONFIG, "--patience", seconds)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Invalid value for '--patience'" in result.stderr
