from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest

from cnntrain.errors import ConfigError, RunFolderError
from cnntrain.report.records import labels_of, read_rows, read_run
from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.runs.folder import RunFolder

HEAD = (
    "epoch,step,train_loss,train_accuracy,validation_loss,validation_accuracy,learning_rate,images_per_second,seconds\n"
)


def metrics(path: Path, *rows: str) -> Path:
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return path


def test_a_run(run: RunFolder) -> None:
    found = read_run(run.path, "it")
    with run.metrics.open() as file:
        expected = list(csv.DictReader(file))
    assert [row.cells for row in found.rows] == expected
    assert found.rows[1]["train_loss"] == float(expected[1]["train_loss"])
    progress = read_checkpoint(run.last).metadata.progress
    assert found.best is not None
    assert found.best.epoch == progress.best_epoch
    assert found.seconds == pytest.approx(sum(float(row["seconds"]) for row in expected), rel=1e-12)
    assert found.parameters == (4 * 9 + 4) + (4 * 6 * 6 * 10 + 10)
    assert (found.planned, found.is_finished, found.damage) == (("epochs", 3), True, None)
    assert found.environment is not None
    assert found.environment["cores"] > 0


def test_a_run_that_goes_on(run: RunFolder) -> None:
    whole = run.metrics.read_text()
    run.metrics.write_text(whole + "4,56,0.1,0.9,0.2,0.8,0.0")  # in the middle of a write
    found = read_run(run.path, "it")
    assert [row.epoch for row in found.rows] == [1, 2, 3]
    run.metrics.write_text("".join(whole.splitlines(keepends=True)[:2]))
    assert not read_run(run.path, "it").is_finished


def test_a_run_before_its_first_epoch(run: RunFolder) -> None:
    for path in (run.metrics, run.best, run.last, run.environment):
        path.unlink()
    found = read_run(run.path, "it")
    assert (found.rows, found.best, found.parameters, found.environment, found.damage) == ([], None, None, None, None)
    assert not found.is_finished


def test_steps(run: RunFolder) -> None:
    text = run.config.read_text().replace("epochs: 3", "steps: 42")
    run.config.write_text(text)
    found = read_run(run.path, "it")
    assert (found.planned, found.is_finished) == (("steps", 42), True)


def test_the_best_epoch(tmp_path: Path) -> None:
    rows = read_rows(metrics(
        tmp_path / "metrics.csv",
        "1,10,0.5,0.8,0.6,0.70,0.1,1,1", "2,20,0.4,0.8,0.5,0.75,0.1,1,1", "3,30,0.3,0.9,0.4,0.75,0.1,1,1",
        "4,40,0.2,0.9,0.4,0.75,0.1,1,1", "5,50,nan,0.9,nan,nan,0.1,1,1",
    ))  # fmt: skip
    assert max(rows, key=lambda row: row.merit).epoch == 3, "of equal accuracies the smaller loss, then the earlier"
    alone = read_rows(metrics(tmp_path / "alone.csv", "1,10,0.5,0.8,,,0.1,1,1", "2,20,0.4,0.8,,,0.1,1,1"))
    assert max(alone, key=lambda row: row.merit).epoch == 2
    assert alone[0]["validation_loss"] is None


def test_numbers_that_are_none(tmp_path: Path) -> None:
    row = read_rows(metrics(tmp_path / "metrics.csv", "1,10,nan,0.5,inf,,1e-9,-inf,1"))[0]
    assert [row[name] for name in ("train_loss", "validation_loss", "validation_accuracy", "images_per_second")] == [
        None
    ] * 4
    assert row["learning_rate"] == 1e-9
    assert row.merit == (-math.inf,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "metrics.csv: is damaged or no metrics.csv of a run: it has no column epoch"),
        (HEAD + "1,10,0.5\n", "metrics.csv:2: is damaged: expected 9 numbers, got '1,10,0.5'"),
        (HEAD + "1,10,0.5,0.8,,,0.1,1,1\n2,x,0.5,0.8,,,0.1,1,1\n", "metrics.csv:3: is damaged"),
        (HEAD + "1,10,\x1b[2J,0.8,,,0.1,1,1\n", r"got '1,10,\x1b"),
        (HEAD + "-1,10,0.5,0.8,,,0.1,1,1\n", "is damaged"),
        (HEAD + "²,10,0.5,0.8,,,0.1,1,1\n", "is damaged"),
    ],
)
def test_damaged_metrics(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(content)
    with pytest.raises(RunFolderError) as caught:
        read_rows(path)
    assert message in str(caught.value)


def test_metrics_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RunFolderError, match=r"metrics\.csv: cannot be read: "):
        read_rows(path)
    path.write_bytes(b"")
    assert read_rows(path) == []


def test_folders_that_are_no_runs(tmp_path: Path, run: RunFolder) -> None:
    with pytest.raises(RunFolderError, match="nowhere: there is no such run folder"):
        read_run(tmp_path / "nowhere", "it")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunFolderError, match=r"empty: has no config\.yaml: this is no run folder"):
        read_run(tmp_path / "empty", "it")
    run.config.write_text("a: [")
    with pytest.raises(ConfigError, match=r"config\.yaml: is damaged: "):
        read_run(run.path, "it")


@pytest.mark.parametrize("content", ["", "[]", '{"processes": []}', '{"processes": [7]}', "{" * 100_000])
def test_an_environment_that_cannot_be_read(run: RunFolder, content: str) -> None:
    run.environment.write_text(content)
    assert read_run(run.path, "it").environment is None


def test_the_last_process_counts(run: RunFolder) -> None:
    run.environment.write_text(json.dumps({"processes": [{"cores": 1}, {"cores": 2}]}))
    assert read_run(run.path, "it").environment == {"cores": 2}


def test_a_damaged_checkpoint(run: RunFolder) -> None:
    run.best.write_bytes(run.best.read_bytes()[:-8])
    found = read_run(run.path, "it")
    assert found.damage is not None
    assert "best.safetensors: is truncated" in found.damage
    assert found.parameters is not None, "last.safetensors tells as well"


def test_names(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "x", tmp_path / "b" / "y"]
    assert labels_of(paths) == ["x", "y"]
    assert labels_of([paths[0], tmp_path / "b" / "x"]) == [str(paths[0]), str(tmp_path / "b" / "x")]
    assert labels_of([tmp_path / "."]) == [tmp_path.name]
