from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from cnntrain.errors import DataError
from cnntrain.shape import Shape
from tests.config.sample import SAMPLE, sample


@pytest.fixture(autouse=True)
def mnist_without_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnntrain.data.dataset.describe", lambda settings: (Shape(1, 28, 28), 10))


def check(tmp_path: Path, text: str, *arguments: str) -> Result:
    path = tmp_path / "net.yaml"
    path.write_text(text)
    return CliRunner().invoke(main, ["check", "--config", str(path), *arguments])


def test_table(tmp_path: Path) -> None:
    result = check(tmp_path, SAMPLE)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["net:", "10", "classes"],
        ["layer", "output", "parameters", "MACs"],
        ["data", "1x28x28"],
        ["0", "conv2d", "6x24x24", "156", "86,400"],
        ["1", "tanh", "6x24x24", "0", "0"],
        ["2", "max_pool2d", "6x12x12", "0", "0"],
        ["3", "dense", "10x1x1", "8,650", "8,640"],
        ["total", "8,806", "95,040"],
    ]
    table = result.stdout.splitlines()[1:]
    assert len({len(line.rstrip()) for line in table if line.split()[0] != "data"}) == 1


def test_json_is_all_there_is_on_stdout(tmp_path: Path) -> None:
    result = check(tmp_path, SAMPLE, "--json", "--set", "name=lenet")
    assert (result.exit_code, result.stderr) == (0, "")
    summary = json.loads(result.stdout)
    conv2d = {"path": "0.conv2d", "name": "conv2d", "output_shape": [6, 24, 24], "parameters": 156, "macs": 86400}
    assert summary["layers"][0] == conv2d
    del summary["layers"]
    assert summary == {
        "name": "lenet",
        "input_shape": [1, 28, 28],
        "classes": 10,
        "parameters": 8806,
        "macs": 95040,
    }


NESTED = sample(
    ("- tanh", "- residual: {body: [relu, repeat: {times: 2, layers: [conv2d: {filters: 6, kernel_size: 1}, tanh]}]}")
)


def test_layers_inside_layers_are_indented(tmp_path: Path) -> None:
    result = check(tmp_path, NESTED)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line[3:] for line in result.stdout.splitlines()[1:]]
    assert [line[: len("    body.1 repeat")] for line in lines[3:9]] == [
        "residual         ",
        "  body.0 relu    ",
        "  body.1 repeat  ",
        "    0.0 conv2d   ",
        "    0.1 tanh     ",
        "    1.0 conv2d   ",
    ]
    assert lines[5].split() == ["body.1", "repeat", "6x24x24", "84", "41,472"]
    assert lines[6].split() == ["0.0", "conv2d", "6x24x24", "42", "20,736"]
    assert lines[-1].split() == ["total", f"{8806 + 84:,}", f"{95040 + 41472:,}"]


def test_layers_inside_layers_as_json(tmp_path: Path) -> None:
    residual = json.loads(check(tmp_path, NESTED, "--json").stdout)["layers"][1]
    relu, repeat = residual["layers"]
    assert (relu["path"], "layers" in relu) == ("1.residual.body.0.relu", False)
    assert [layer["path"].removeprefix("1.residual.body.1.repeat.") for layer in repeat["layers"]] == [
        "0.0.conv2d", "0.1.tanh", "1.0.conv2d", "1.1.tanh",
    ]  # fmt: skip
    assert residual["parameters"] == repeat["parameters"] == 84


def test_schema_needs_no_config() -> None:
    result = CliRunner().invoke(main, ["check", "--schema"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["required"] == ["data", "network", "optimizer"]


def test_overrides(tmp_path: Path) -> None:
    result = check(tmp_path, SAMPLE, "--set", "network.0.conv2d.filters=12", "--set", "name=wide")
    assert "wide: 10 classes" in result.stdout
    assert "12x24x24" in result.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("tanh", "tahn"), ':8:5: unknown layer "tahn"; did you mean tanh?'),
        (("max_pool2d: 2", "max_pool2d: 30"), ":9:17: max_pool2d does not fit: kernel_size 30x30"),
        (("dense: classes", "dense: 11"), ":10:5: dense gives 11x1x1 but the data has 10 classes"),
    ],
)
def test_a_wrong_config_exits_with_2(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    result = check(tmp_path, sample(change))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{tmp_path / 'net.yaml'}{message}")
    assert isinstance(result.exception, SystemExit)


def test_missing_config() -> None:
    result = CliRunner().invoke(main, ["check", "--config", "none.yaml"])
    assert (result.exit_code, result.stderr) == (2, "none.yaml: cannot read the config: No such file or directory\n")
    result = CliRunner().invoke(main, ["check"])
    assert result.exit_code == 2
    assert "name a config: CONFIG, --config FILE or --recipe NAME" in result.stderr


def test_explanations(tmp_path: Path) -> None:
    plain, explained = (check(tmp_path, SAMPLE, *arguments).stdout for arguments in ([], ["--explain"]))
    assert explained.startswith(f"{plain}\npasses: batches of 64, float32, ")
    assert "0.conv2d  1→6 5x5 on 28x28\n  forward     direct, in one kernel with 2.max_pool2d\n" in explained
    assert explained.endswith("  convolution and max-pooling as one\n    0.conv2d + 2.max_pool2d\n")
    assert max(map(len, explained.splitlines())) <= 100


def test_explanations_as_json(tmp_path: Path) -> None:
    summary = json.loads(check(tmp_path, SAMPLE, "--explain", "--json", "--set", "train.batch_size=3").stdout)
    assert summary["parameters"] == 8806
    explanation = summary["explanation"]
    assert explanation["batch_size"] == 3
    found = {(one["layer"], one["pass"]): one["algorithm"] for one in explanation["passes"]}
    assert (found["0.conv2d", "forward"], found["3.dense", "to weights"]) == ("direct", "by positions")
    assert explanation["fusions"][0]["layers"] == ["1.tanh", "2.max_pool2d"]


def test_the_image_may_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = json.loads(check(tmp_path, SAMPLE, "--json", "--image", "3x12x12").stdout)
    assert (summary["input_shape"], summary["classes"], summary["layers"][-1]["macs"]) == ([3, 12, 12], 10, 6 * 16 * 10)
    monkeypatch.setattr("cnntrain.data.dataset.describe_or_recall", None)
    both = check(tmp_path, SAMPLE, "--image", "1x12x12", "--classes", "4")
    assert (both.exit_code, both.stdout.splitlines()[0]) == (0, "net: 4 classes")


def test_missing_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def describe(settings: object) -> None:
        raise DataError("data/mnist: no such folder")

    monkeypatch.setattr("cnntrain.data.dataset.describe", describe)
    result = check(tmp_path, SAMPLE)
    message, advice = result.stderr.splitlines()
    assert (result.exit_code, result.stdout, message) == (2, "", "data/mnist: no such folder")
    assert advice.endswith("--image 3x32x32 and --classes 10 do as well")
