from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click import UsageError
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from cnntrain.cli import main
from cnntrain.cli.explain_options import refuse
from cnntrain.layers.batch import Batch
from cnntrain.layers.conv2d import Conv2d
from tests.training.small import digits, train, write_config


def explain(*arguments: str | int | Path) -> Result:
    return CliRunner().invoke(main, ["explain", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain")
    train(write_config(folder), folder / "run", "train.epochs=1")
    Image.fromarray(digits()["x_test"][3]).save(folder / "photo.png")
    explain(folder / "run")  # compiles what is missing, so that nothing is announced below
    return folder


def test_the_layers_of_a_config(folder: Path) -> None:
    result = explain(folder / "digits.yaml", "--index", 7)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"{folder / 'digits.yaml'}: initial weights"
    label = digits()["y_test"][7]
    assert lines[1] == f"image 7 of the test split, label {label}; step 0, sgd at learning rate 0.05"
    assert [line.split()[0] for line in lines[4:8]] == ["0.conv2d", "1.tanh", "2.max_pool2d", "3.dense"]
    assert any(line.startswith("loss ") for line in lines)


def test_a_run_as_json(folder: Path) -> None:
    result = explain(folder / "run", "--json", "--layer", 0, "--weight", "1,0,2,2", "--images", 2)
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["name"] == str(folder / "run" / "last.safetensors")
    assert found["origin"] == "after epoch 1 (step 14)"
    assert len(found["labels"]) == len(found["logits"]) == 2
    number = found["number"]
    assert number["layer"] == "0.conv2d"
    line = number["derivation"]["lines"][-1]
    assert line["count"] == len(line["terms"]) == 2 * 12 * 12
    assert number["value"] == pytest.approx(line["kernels"], rel=1e-10)
    assert number["central_difference"]["value"] == pytest.approx(number["value"], rel=1e-6)
    assert number["update"]["lines"][-1]["name"] == "w after"


def test_a_file(folder: Path) -> None:
    result = explain(folder / "run", "--image", folder / "photo.png", "--set", "data.path=nowhere.npz")
    assert result.exit_code == 0, result.output
    assert f"{folder / 'photo.png'}, label " in result.stdout
    assert "as nobody said" in result.stdout
    named = explain(folder / "run", "--image", folder / "photo.png", "--label", 3, "--split", "train")
    assert (named.exit_code, "either --image FILE, or --index with --split" in named.stderr) == (2, True)
    many = explain(folder / "run", "--image", folder / "photo.png", "--images", 2)
    assert (many.exit_code, "--image FILE is one image" in many.stderr) == (2, True)


def test_options_of_something_else() -> None:
    refuse({"layer": None, "overrides": (), "index": None}, "a run or a config")
    with pytest.raises(UsageError, match="--grad-input is about a run or a config"):
        refuse({"layer": None, "grad_input": "0,0,0"}, "a run or a config")
    with pytest.raises(UsageError, match="--set is about a run or a config"):
        refuse({"overrides": ("seed=1",)}, "a run or a config")
    with pytest.raises(UsageError, match="--index is about a run or a config"):
        refuse({"index": 0}, "a run or a config")


def test_a_workbook(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("openpyxl", reason="openpyxl, of the extra xlsx, is not installed")
    layers = "network=[{avg_pool2d: 7}, tanh, {dense: classes}]"
    result = explain(folder / "digits.yaml", "--set", layers, "--xlsx", tmp_path / "step.xlsx", "--json")
    assert result.exit_code == 0, result.output
    assert "step.xlsx: " in result.stderr
    assert (tmp_path / "step.xlsx").read_bytes()[:2] == b"PK"
    assert json.loads(result.stdout)["number"] is None


def test_a_kernel_that_adds_up_wrongly_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Conv2d.forward

    def wrong(self: Conv2d, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        made = forward(self, x, batch)
        made *= 1 + 1e-7
        return made

    monkeypatch.setattr(Conv2d, "forward", wrong)
    result = explain(folder / "digits.yaml", "--layer", 0, "--at", "2,5,5")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("0.conv2d: y[2,5,5] = b + Σ w x gives ")
    assert "more than rounding. This is an error in cnntrain: please report it" in result.stderr
    assert explain(folder / "digits.yaml", "--layer", 1, "--at", "2,5,5").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["digits.yaml", "--index", 128], "index 128: the test split has 128 images, 0 to 127"),
        (["digits.yaml", "--at", "0,0,0"], "--at needs --layer PATH"),
        (["nothing.yaml"], "nothing.yaml"),
        (["nothing"], "there is no such run folder or checkpoint"),
        (["digits.yaml", "--xlsx", "a.txt"], "must end in .xlsx"),
    ],
)
def test_mistakes_are_told_in_a_line(folder: Path, arguments: list[str], text: str) -> None:
    result = explain(folder / str(arguments[0]), *arguments[1:])
    assert result.exit_code == 2
    assert text in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
