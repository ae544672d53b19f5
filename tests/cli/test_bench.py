from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cnntrain.cli import main

CONFIG = """
name: small
data: {source: npz, path: nowhere.npz}
network:
  - conv2d: {filters: 4, kernel_size: 3, padding: 1}
  - residual: [tanh, {conv2d: {filters: 4, kernel_size: 3, padding: 1}}]
  - max_pool2d: 2
  - dense: classes
optimizer: {sgd: {learning_rate: 0.05}}
train: {batch_size: 20}
"""
SIZE = ["--image", "2x6x6", "--classes", "3"]


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG)
    return str(path)


def bench(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["bench", "--threads", "1", "--seconds", "0.01", *arguments])


@pytest.fixture
def measured(config: str) -> dict[str, Any]:
    result = bench("--config", config, *SIZE, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_every_pass_of_every_layer_is_measured(measured: dict[str, Any]) -> None:
    (run,) = measured["runs"]
    assert [(found["layer"], found["pass"]) for found in run["passes"]] == [
        (None, "load"),
        ("0.conv2d", "forward"),
        ("0.conv2d", "to weights"),
        ("1.residual.body.0.tanh", "forward"),
        ("1.residual.body.0.tanh", "backward"),
        ("1.residual.body.1.conv2d", "forward"),
        ("1.residual.body.1.conv2d", "to input"),
        ("1.residual.body.1.conv2d", "to weights"),
        ("1.residual", "forward"),
        ("1.residual", "backward"),
        ("2.max_pool2d", "forward"),
        ("2.max_pool2d", "backward"),
        ("3.dense", "forward"),
        ("3.dense", "to input"),
        ("3.dense", "to weights"),
        (None, "loss"),
        (None, "update"),
        (None, "other"),
    ]
    chosen = {(found["layer"], found["pass"]): found["algorithm"] for found in run["passes"] if found["algorithm"]}
    assert chosen == {
        ("0.conv2d", "forward"): "direct",
        ("0.conv2d", "to weights"): "by lanes",
        ("1.residual.body.1.conv2d", "forward"): "direct",
        ("1.residual.body.1.conv2d", "to input"): "direct",
        ("1.residual.body.1.conv2d", "to weights"): "by positions",
        ("3.dense", "forward"): "matrix product",
        ("3.dense", "to input"): "matrix product",
        ("3.dense", "to weights"): "by positions",
    }


def test_the_figures_fit_together(measured: dict[str, Any]) -> None:
    (run,) = measured["runs"]
    assert (measured["batch_size"], measured["best_threads"], run["threads"]) == (20, 1, 1)
    assert measured["parameters"] == 4 * (2 * 9 + 1) + 4 * (4 * 9 + 1) + 3 * (4 * 9 + 1)
    assert measured["peak_memory_bytes"] > 10_000_000
    assert run["training_images_per_second"]["median"] > 0
    assert run["evaluation_images_per_second"]["median"] > 0
    # medians of parts do not add up to the median of the whole: on a busy machine to half of it
    assert 0 < sum(found["share_of_step"] for found in run["passes"]) < 1.3
    for found in run["passes"]:
        seconds = found["seconds"]
        assert 0 < seconds["least"] <= seconds["low"] <= seconds["median"] <= seconds["high"] <= seconds["most"]
        if found["gflops"] is None:
            assert found["layer"] is None or not {"conv2d", "dense"} & set(found["layer"].split("."))
            continue
        rate = found["operations"] / seconds["median"] / 1e9
        assert math.isclose(found["gflops"]["median"], rate)
        assert math.isclose(found["share_of_peak"], rate / run["peak_gflops"]["median"])
    operations = {found["layer"]: found["operations"] for found in run["passes"] if "operations" in found}
    taps = (6 * 3 - 2) ** 2
    assert operations == {
        "0.conv2d": 2 * 20 * taps * 2 * 4,
        "1.residual.body.1.conv2d": 2 * 20 * taps * 4 * 4,
        "3.dense": 2 * 20 * 36 * 3,
    }


def test_what_runs_in_one_kernel_is_measured_as_one(tmp_path: Path) -> None:
    """A first layer of few channels and its max-pooling."""
    path = tmp_path / "pooled.yaml"
    layers = "[conv2d: {filters: 4, kernel_size: 3, padding: 1}, max_pool2d: 2, relu, dense: classes]"
    path.write_text(re.sub(r"network:\n.*(?=optimizer)", f"network: {layers}\n", CONFIG, flags=re.DOTALL))
    result = bench("--config", str(path), *SIZE)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    shape = "0.conv2d  2→4 3x3 on 6x6"
    assert any(line.startswith(shape) and " forward " in line for line in lines)
    assert any("to weights" in line for line in lines[: next(i for i, line in enumerate(lines) if "relu" in line)])
    assert not any(line.startswith("1.max_pool2d") for line in lines)
    assert any(line.startswith("a max_pool2d without a line of its own ") for line in lines)


def test_the_table(config: str) -> None:
    result = bench("--config", config, *SIZE, "--explain")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "small: 335 parameters, batches of 20, float32"
    assert lines[1].startswith("passes of a training step with 1 thread (peak ")
    assert any(
        line.startswith("0.conv2d") and " 2→4 3x3 on 6x6 " in line and " forward " in line and " direct " in line
        for line in lines
    )
    memory = next(number for number, line in enumerate(lines) if line.startswith("peak memory: "))
    assert lines[memory + 1 :][:4] == [
        "",
        "0.conv2d  2→4 3x3 on 6x6",
        "  forward     direct",
        "              not depthwise: filters see more than a channel of their own",
    ]
    assert max(map(len, lines)) <= 120


def test_given_shapes() -> None:
    result = bench("--shapes", "20,2,6x6,3,3,1,1 20,30,10", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert [(row["shape"], row["pass"]) for row in found["passes"]][2:4] == [
        ("20,2,6x6,3,3,1,1", "to weights"),
        ("20,30,10", "forward"),
    ]
    assert found["peak_gflops"]["1"]["median"] > 0
    assert [row["algorithm"] for row in found["passes"]][2:4] == ["by lanes", "matrix product"]
    assert list(found["passes"][2]["refusals"]) == ["depthwise", "winograd 8x8", "winograd"]
    text = bench("--shapes", "20,30,10").stdout.splitlines()
    assert text[0].split() == ["shape", "threads", "pass", "algorithm", "µs", "best", "±", "GF/s", "peak"]
    assert text[1].split()[:5] == ["20,30,10", "1", "forward", "matrix", "product"]


def test_shapes_by_an_algorithm_of_one_s_choice() -> None:
    result = bench("--shapes", "20,2,6x6,3,3,1,1", "--only", "to-weights=by-positions", "--explain")
    assert result.exit_code == 0, result.stderr
    below = result.stdout.partition("20,2,6x6,3,3,1,1  2→3 3x3 on 6x6\n")[2]
    assert below.splitlines()[-2:] == [
        "  to weights  by positions",
        "              not depthwise, winograd 8x8, winograd, by lanes: only by positions is asked for",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either a config (CONFIG, --config FILE or --recipe NAME) or --shapes"),
        (
            ["--config", "a.yaml", "--shapes", "1,2,3"],
            "give either a config (CONFIG, --config FILE or --recipe NAME) or --shapes",
        ),
        (["--shapes", "1,2"], '"1,2" is no shape'),
        (["--shapes", "1,2,3", "--threads", "one"], "must be numbers with commas between them: 1,2,4"),
        (["--shapes", "1,2,3", "--threads", "100000"], "--threads 100000: must be 1 to"),
        (["--shapes", "1,2,3", "--threads", "0"], "--threads 0: must be 1 to"),
        (["--config", "a.yaml", "--image", "28x28"], "must be channels, rows and columns: 3x32x32"),
        (["--config", "a.yaml", "--image", "0x28x28"], "must be channels, rows and columns: 3x32x32"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--config", "a.yaml", "--only", "forward=direct"], "--only goes with --shapes"),
        (["--shapes", "9,9,9x9,9,9,1,4", "--only", "forward=best"], '--only "forward=best": algorithms forward are '),
    ],
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    result = bench(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_missing_data_need_not_matter(config: str) -> None:
    result = bench("--config", config)
    assert result.exit_code == 2
    assert "nowhere.npz" in result.stderr
    assert "--image 3x32x32 and --classes 10 do as well" in result.stderr


def test_the_images_of_known_data_are_known(tmp_path: Path) -> None:
    from cnntrain.bench.subject import subject_of_config

    path = tmp_path / "known.yaml"
    path.write_text(CONFIG.replace("{source: npz, path: nowhere.npz}", "{source: mnist, path: nowhere}"))
    subject = subject_of_config(path)
    assert (subject.network.input_shape, subject.network.output_shape.size) == ((1, 28, 28), 10)
