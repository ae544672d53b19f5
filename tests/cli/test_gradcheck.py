from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from cnntrain.losses.cross_entropy import CrossEntropy
from cnntrain.passes.pooled_convolution import PooledPasses
from cnntrain.passes.problem import Phase, Window
from cnntrain.runs.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from tests.training.small import train, write_config

TENSORS = ["input", "0.conv2d.weight", "0.conv2d.bias", "3.dense.weight", "3.dense.bias"]


def gradcheck(*arguments: str | float | Path) -> Result:
    return CliRunner().invoke(main, ["gradcheck", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with digits.yaml and a run of it."""
    folder = tmp_path_factory.mktemp("gradcheck")
    train(write_config(folder), folder / "run", "train.epochs=1")
    return folder


@pytest.fixture(autouse=True)
def compiled(folder: Path) -> None:
    """Compile what the commands need, so that nothing is announced in the tests below."""
    gradcheck("--config", folder / "digits.yaml", "--samples", 1)


def test_a_config(folder: Path) -> None:
    result = gradcheck("--config", folder / "digits.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"{folder / 'digits.yaml'}: 20 images in float64, tolerance 1e-06"
    assert [line.split()[0] for line in lines[3:8]] == TENSORS
    assert [line.split()[1] for line in lines[3:8]] == ["20x1x14x14", "4x1x3x3", "4", "10x144", "10"]
    assert [line.split()[-1] for line in lines[3:8]] == ["ok"] * 5
    assert lines[-1].startswith("passed: 5 of 5 tensors, ")


@pytest.mark.parametrize("target", ["run", "run/last.safetensors"])
def test_a_run_and_a_checkpoint(folder: Path, target: str) -> None:
    result = gradcheck(folder / target, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert report["subject"] == str(folder / "run" / ("best.safetensors" if target == "run" else "last.safetensors"))
    assert [tensor["name"] for tensor in report["tensors"]] == TENSORS
    assert {tensor["verdict"] for tensor in report["tensors"]} == {"ok"}
    initial = json.loads(gradcheck("--config", folder / "digits.yaml", "--json").stdout)
    assert [tensor["worst"] for tensor in initial["tensors"]] != [tensor["worst"] for tensor in report["tensors"]]


def test_options(folder: Path) -> None:
    result = gradcheck(
        "--config", folder / "digits.yaml", "--json", "--images", 3, "--samples", 5, "--tolerance", 1e-5, "--seed", 4,
        "--threads", 1, "--set", "network.0.conv2d.filters=8", "--set", "loss=mse",
    )  # fmt: skip
    report = json.loads(result.stdout)
    assert (report["images"], report["tolerance"], report["seed"]) == (3, 1e-5, 4)
    assert report["tensors"][0]["shape"] == [3, 1, 14, 14]
    assert report["tensors"][1]["shape"] == [8, 1, 3, 3]
    assert [tensor["checked"] for tensor in report["tensors"][1:]] == [5] * 4


def test_the_same_seed_gives_the_same_report(folder: Path) -> None:
    first, second = (gradcheck("--config", folder / "digits.yaml", "--json").stdout for _ in range(2))
    assert first == second


def test_a_broken_backward_pass_exits_with_1(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backward = Window.backward
    monkeypatch.setattr(Window, "backward", lambda self: [Phase(axis, taps[::-1]) for axis, taps in backward(self)])
    result = gradcheck("--config", folder / "digits.yaml")
    assert result.exit_code == 1
    rows = {line.split()[0]: line for line in result.stdout.splitlines()[3:8]}
    assert "WRONG (" in rows["input"]
    assert all(rows[name].endswith("ok") for name in TENSORS[1:])
    assert result.stdout.splitlines()[-1].startswith("WRONG: 1 of 5 tensors.")
    assert result.stdout.splitlines()[-1].endswith("The fault is in one of: 0.conv2d")


def test_json_of_a_broken_gradient(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = CrossEntropy.compute

    def without_mean(self: CrossEntropy, outputs: np.ndarray, labels: np.ndarray, blocks: int) -> None:
        compute(self, outputs, labels, blocks)
        self.gradient *= labels.size

    monkeypatch.setattr(CrossEntropy, "compute", without_mean)
    result = gradcheck(folder / "run", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert not report["passed"]
    assert {tensor["verdict"] for tensor in report["tensors"]} == {"WRONG"}
    for tensor in report["tensors"]:
        worst = tensor["worst"]
        assert worst["analytic"] == pytest.approx(20 * worst["numeric"], rel=1e-4)


def test_what_compiles_is_announced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnntrain.kernels import layout
    from cnntrain.kernels.compiler.jit import kernel

    monkeypatch.setattr("cnntrain.network.from_lanes", kernel(layout.from_lanes.py_func))
    result = gradcheck("--config", folder / "digits.yaml", "--json")
    assert "compiling from_lanes (once for this machine)\n" in result.stderr
    assert json.loads(result.stdout)["passed"]


@pytest.mark.parametrize("arguments", [[], ["run", "--config", "digits.yaml"]])
def test_either_a_config_or_a_run(arguments: list[str]) -> None:
    result = gradcheck(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give one thing to check: a config (CONFIG, --config FILE or --recipe NAME)" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--images", "0"],
        ["--samples", "0"],
        ["--tolerance", "0"],
        ["--tolerance", "1"],
        ["--tolerance", "nan"],
        ["--seed", "-1"],
    ],
)
def test_numbers_out_of_range(folder: Path, arguments: list[str]) -> None:
    result = gradcheck("--config", folder / "digits.yaml", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert arguments[0].lstrip("-") in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "none.yaml"], "none.yaml: cannot read the config: No such file or directory\n"),
        (["none.safetensors"], "none.safetensors"),
    ],
)
def test_missing_files(arguments: list[str], message: str) -> None:
    result = gradcheck(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)
    assert isinstance(result.exception, SystemExit)


def test_a_wrong_config(folder: Path) -> None:
    result = gradcheck("--config", folder / "digits.yaml", "--set", "network.2=max_pol2d")
    assert (result.exit_code, result.stdout) == (2, "")
    assert 'unknown layer "max_pol2d"; did you mean max_pool2d?' in result.stderr


def test_a_network_of_nan_is_named(folder: Path) -> None:
    sound = read_checkpoint(folder / "run" / "best.safetensors")
    spoilt = {name: value.copy() for name, value in sound.network.items()}
    spoilt["3.dense.bias"][4] = np.nan
    path = folder / "nan.safetensors"
    save_checkpoint(path, Checkpoint(sound.metadata, spoilt))
    result = gradcheck(path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"warning: {path}: NaN or infinity in 3.dense.bias\n"
        "the loss of the 20 images is nan: there are no gradients to check\n"
    )


def test_nothing_checked_is_not_passed(folder: Path) -> None:
    """Weights so far down that a ReLU passes nothing, and no bias behind it."""
    layers = [
        "{dense: {units: 4, weight_init: zeros, bias_init: {constant: -100}}}",
        "relu",
        "{dense: {units: classes, bias: false}}",
    ]
    result = gradcheck("--config", folder / "digits.yaml", "--set", f"network=[{', '.join(layers)}]")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].startswith("FAILED: no gradient is known to be wrong, but none could be")


def test_a_bias_dropped_in_training_is_dropped_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check runs the layers themselves, not a copy of them."""
    backward_weight = PooledPasses.backward_weight

    def without_bias(self: Any, image: Any, gradient: Any, mask: Any, weight: Any, bias: Any, blocks: int) -> None:
        backward_weight(self, image, gradient, mask, weight, bias, blocks)
        bias[:] = 0

    monkeypatch.setattr(PooledPasses, "backward_weight", without_bias)
    report = json.loads(gradcheck(folder / "run", "--json").stdout)
    assert [tensor["name"] for tensor in report["tensors"] if tensor["verdict"] == "WRONG"] == ["0.conv2d.bias"]
    assert report["tensors"][2]["worst"]["analytic"] == 0
