from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from cnntrain.runs.folder import RunFolder
from tests.training.small import train, write_config


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, RunFolder]:
    folder = tmp_path_factory.mktemp("runs")
    config = write_config(folder)
    first = train(config, folder / "a", "train.epochs=1")
    return first, train(config, folder / "b", "train.epochs=1", "data.validation=0", "seed=8")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def test_a_table(pair: tuple[RunFolder, RunFolder]) -> None:
    result = run(pair[0].path, pair[1].path)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[:3] for line in lines[1:3]] == [["a", "1", "1"], ["b", "1", "1"]]
    assert lines[4:] == [["what", "differs", "a", "b"], ["seed", "7", "8"], ["data.validation", "64", "0"]]


def test_a_page(pair: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = run(pair[0].path, pair[1].path, "--html", page)
    assert (result.exit_code, result.stderr) == (0, f"the page is in {page}\n")
    text = page.read_text()
    assert "validation split, 64 images" in text
    assert "test split, 128 images" in text, "of a run without validation"
    assert "train split, 448 images" in (run(pair[0].path, "--html", page, "--split", "train"), page.read_text())[1]


def test_json(pair: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    result = run(pair[0].path, "--json")
    report = json.loads(result.stdout)
    assert (report["left_out"], report["html"], report["differences"]) == ([], None, {})
    assert report["runs"][0]["best"]["validation_accuracy"] == float(
        pair[0].metrics.read_text().splitlines()[1].split(",")[5]
    )
    result = run(pair[0].path, tmp_path / "nowhere", "--json", "--html", tmp_path / "r.html")
    report = json.loads(result.stdout)
    assert report["html"] == str(tmp_path / "r.html")
    assert [one["run"] for one in report["left_out"]] == [str(tmp_path / "nowhere")]


def test_runs_that_cannot_be_read_are_named_and_left_out(pair: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged\x1b[2J"
    shutil.copytree(pair[0].path, damaged)
    (damaged / "metrics.csv").write_text("epoch\n")
    result = run(tmp_path / "nowhere", pair[0].path, damaged, "--html", tmp_path / "r.html")
    assert result.exit_code == 1
    assert f"warning: left out: {tmp_path}/nowhere: there is no such run folder\n" in result.stderr
    assert "damaged\\x1b[2J/metrics.csv: is damaged" in result.stderr
    assert result.stdout.splitlines()[1].startswith("a ")
    page = (tmp_path / "r.html").read_text()
    assert "nowhere was left out: " in page
    assert "\x1b" not in page + result.output


def test_nothing_that_can_be_read(tmp_path: Path) -> None:
    result = run(tmp_path / "x", tmp_path / "y")
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 2
    assert run().exit_code == 2


def test_a_damaged_checkpoint(pair: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    shutil.copytree(pair[0].path, tmp_path / "run")
    (tmp_path / "run" / "best.safetensors").write_bytes(b"no tensors at all")
    result = run(tmp_path / "run", "--html", tmp_path / "r.html")
    assert result.exit_code == 1
    assert result.stderr.count("best.safetensors") == 1
    assert "The network could not be read: " in (tmp_path / "r.html").read_text()
    assert result.stdout.splitlines()[1].startswith("run ")


def test_data_that_are_gone(pair: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    result = run(pair[0].path, "--html", page, "--set", "data.path=gone.npz")
    assert result.exit_code == 0
    assert "There are no answers and no pictures: gone.npz: " in result.stderr
    assert "no answers and no pictures" in page.read_text()
    moved = shutil.copy(pair[0].path.parent / "digits.npz", tmp_path / "moved.npz")
    assert run(pair[0].path, "--html", page, "--set", f"data.path={moved}").stderr == f"the page is in {page}\n"


def test_a_page_that_cannot_be_written(pair: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    result = run(pair[0].path, "--html", tmp_path / "gone" / "r.html")
    assert result.exit_code == 2
    assert "gone/r.html: could not be written" in result.stderr
    assert "No such file or directory" in result.stderr


def test_a_wrong_override(pair: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    result = run(pair[0].path, "--html", tmp_path / "r.html", "--set", "data.pth=x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean path?" in result.stderr
    assert not (tmp_path / "r.html").exists()


def test_train_with_a_report(tmp_path: Path) -> None:
    config = write_config(tmp_path, train={"epochs": 1})
    result = CliRunner().invoke(main, ["train", "--config", str(config), "--out", str(tmp_path / "run"), "--report"])
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}/run\n")
    assert "Worst mistakes" in (tmp_path / "run" / "report.html").read_text()
    resumed = CliRunner().invoke(
        main, ["train", "--resume", str(tmp_path / "run"), "--set", "train.epochs=2", "--report"]
    )
    assert resumed.exit_code == 0
    assert "<dd>2</dd>" in (tmp_path / "run" / "report.html").read_text()
