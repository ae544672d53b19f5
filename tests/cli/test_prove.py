from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from cnntrain.passes.problem import Phase, Window
from cnntrain.verify import mutation
from cnntrain.verify.mutation import UNBROKEN, Outcome
from cnntrain.verify.proof_subject import subject_of_config
from tests.training.small import train, write_config

PASSES = ["forward", "to input", "to weights", "bias", "mask"]


def prove(*arguments: str | int | Path) -> Result:
    return CliRunner().invoke(main, ["prove", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with digits.yaml and a run of it; what the commands need is compiled."""
    folder = tmp_path_factory.mktemp("prove")
    train(write_config(folder), folder / "run", "train.epochs=1")
    prove(folder / "digits.yaml", "--trials", 1)
    return folder


def test_a_config(folder: Path) -> None:
    result = prove(folder / "digits.yaml", "--trials", 2)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"{folder / 'digits.yaml'}: batches of 32 and fewer images, whole numbers from seed 1"
    assert lines[2].split()[:3] == ["layer", "pass", "algorithm"]
    assert [lines[3].split()[0], lines[7].split()[0]] == ["0.conv2d", "2.max_pool2d"]
    assert "±1000" in lines[3]
    assert " exact " in lines[3]
    assert any(line.startswith("1.tanh") and " close " in line for line in lines)
    assert any(line.startswith("loss") for line in lines)
    assert any(line.startswith("optimizer") for line in lines)
    assert lines[-1].startswith("proven: ")


@pytest.mark.parametrize("target", ["run", "run/last.safetensors"])
def test_a_run_and_a_checkpoint(folder: Path, target: str) -> None:
    result = prove(folder / target, "--json", "--trials", 1, "--layer", "3.dense")
    assert (result.exit_code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert report["subject"] == str(folder / "run" / ("best.safetensors" if target == "run" else "last.safetensors"))
    assert report["passed"]
    assert {found["layer"] for found in report["passes"]} == {"3.dense"}


def test_options(folder: Path) -> None:
    result = prove(
        "--config", folder / "digits.yaml", "--json", "--images", 20, "--trials", 2, "--seed", 4, "--threads", 1,
        "--layer", "0.conv2d", "--image", "1x9x8", "--classes", 3,
    )  # fmt: skip
    report = json.loads(result.stdout)
    assert (report["images"], report["seed"]) == (20, 4)
    assert [found["pass"] for found in report["passes"]] == PASSES * 2
    assert {found["verdict"] for found in report["passes"]} == {"exact"}
    assert {found["trials"] for found in report["passes"]} == {2, 4}  # masks with many equal values too
    assert report["passes"][0]["chance"] < 1e-5
    assert report["passes"][4]["chance"] is None


def test_sizes_may_be_given_where_there_are_no_data(folder: Path) -> None:
    arguments: list[Any] = [folder / "digits.yaml", "--set", "data.path=none.npz", "--layer", "1", "--trials", 1]
    missing = prove(*arguments)
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert "size of the images only: --image 3x32x32 and --classes 10 do as well" in missing.stderr
    found = prove(*arguments[:-4], "--layer", "1.tanh", "--trials", 1, "--image", "1x14x14", "--classes", 10)
    assert found.exit_code == 0


def test_published_data_need_not_be_there(tmp_path: Path) -> None:
    """Nor for the number of classes, where some are chosen."""
    config = tmp_path / "three.yaml"
    data = "{source: mnist, path: none, classes: ['1', '5', '7']}"
    config.write_text(f"data: {data}\nnetwork: [max_pool2d: 14, dense: classes]\noptimizer: {{sgd: 0.1}}\n")
    found = prove(config, "--layer", "1.dense", "--trials", 1, "--json")
    assert found.exit_code == 0, found.output
    assert subject_of_config(config, (), None, None).rows[-1].output_shape == (3, 1, 1)


def test_a_broken_backward_pass_exits_with_1(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backward = Window.backward
    monkeypatch.setattr(Window, "backward", lambda self: [Phase(axis, taps[::-1]) for axis, taps in backward(self)])
    result = prove(folder / "digits.yaml", "--trials", 1, "--layer", "0.conv2d")
    assert (result.exit_code, result.stderr) == (1, "")
    wrong = [line for line in result.stdout.splitlines() if " WRONG " in line]
    assert len(wrong) == 2  # in both types
    assert all("<grad_input, x> is " in line for line in wrong)
    last = result.stdout.splitlines()[-1]
    assert last.startswith("WRONG: 2 of 10, the first is 0.conv2d, to input: <grad_input, x> is ")


def test_nothing_proven_is_not_passed(folder: Path) -> None:
    result = prove(folder / "digits.yaml", "--set", "network=[flatten, dense: classes]", "--layer", "0.flatten")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].startswith("FAILED: nothing is known to be wrong")


@pytest.mark.parametrize("arguments", [[], ["run", "--config", "digits.yaml"]])
def test_either_a_config_or_a_run(arguments: list[str]) -> None:
    result = prove(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give either a config, or a run folder or a checkpoint" in result.stderr


@pytest.mark.parametrize("arguments", [["--trials", "0"], ["--images", "0"], ["--seed", "-1"], ["--image", "3x3"]])
def test_numbers_out_of_range(folder: Path, arguments: list[str]) -> None:
    result = prove(folder / "digits.yaml", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert arguments[0].lstrip("-") in result.stderr


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("0.conv", '--layer: the network has no layer "0.conv"; did you mean 0.conv2d?'),
        ("\x1b[2J", '--layer: the network has no layer "\\x1b[2J" (known: 0.conv2d, 2.max_pool2d, 1.tanh, 3.dense)'),
    ],
)
def test_a_layer_that_is_not_there(folder: Path, layer: str, message: str) -> None:
    result = prove(folder / "digits.yaml", "--layer", layer)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


@pytest.mark.parametrize(
    ("target", "message"),
    [("none.yaml", "none.yaml: cannot read the config: No such file or directory\n"), ("none", "none")],
)
def test_missing_files(target: str, message: str) -> None:
    result = prove(target)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)


def test_mutants(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(sources: bool, say: Any) -> list[Outcome]:
        asked.append(sources)
        return [
            Outcome(UNBROKEN, "dense", True, False, False, "", ""),
            Outcome("lost", "dense", True, False, False, "0.dense forward: wrong" * caught, ""),
        ]

    monkeypatch.setattr(mutation, "run_mutants", run)
    caught = True
    found = prove("--mutants=quick", "--json")
    assert found.exit_code == 0
    assert json.loads(found.stdout)["caught_by_prove"] == 1
    caught = False
    survived = prove("--mutants")
    assert survived.exit_code == 1
    assert survived.stdout.splitlines()[-1] == "survives prove: lost (dense)"
    assert asked == [False, True]


def test_mutants_take_no_config() -> None:
    result = prove("--mutants=quick", "--config", "digits.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--mutants breaks networks of its own" in result.stderr
