from __future__ import annotations

import importlib.util
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cnntrain.cli import main
from cnntrain.config import load_config
from cnntrain.errors import ConfigError, RunFolderError
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.logs import LinesLog, StepRecord
from cnntrain.runs.reporter import Reporter
from cnntrain.training.session import start_run
from tests.training.small import STEPS, resume, rows, same_files, train, write_config
from tests.training.test_checkpoints_inside import stopped_at

TIMES = ("images_per_second", "seconds")


def lines(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the entries without their times."""
    entries = [json.loads(line) for line in folder.lines.read_text().splitlines()]
    return [{key: value for key, value in entry.items() if key not in TIMES} for entry in entries]


def test_a_line_per_step_and_per_epoch(tmp_path: Path) -> None:
    config = write_config(tmp_path, train={"log": ["jsonl"]}, schedule="cosine")
    folder = train(config, tmp_path / "run")
    found = lines(folder)
    steps = [entry for entry in found if entry["kind"] == "step"]
    epochs = [entry for entry in found if entry["kind"] == "epoch"]
    assert [entry["step"] for entry in steps] == list(range(1, 2 * STEPS + 1))
    assert found.index(epochs[0]) == STEPS  # after the epoch's last step
    for row, entry in zip(rows(folder), epochs, strict=True):  # metrics.csv is there all the same
        assert {key: str(entry[key]) for key in row if key not in TIMES} == {
            key: row[key] for key in row if key not in TIMES
        }
        its = [step for step in steps if step["epoch"] == entry["epoch"]]
        images = sum(step["images"] for step in its)
        assert sum(step["loss"] * step["images"] for step in its) / images == pytest.approx(entry["train_loss"])
        assert sum(step["accuracy"] * step["images"] for step in its) / images == pytest.approx(entry["train_accuracy"])
        assert its[-1]["learning_rate"] == entry["learning_rate"]


def test_the_logs_change_no_bit(tmp_path: Path) -> None:
    plain = train(write_config(tmp_path), tmp_path / "plain")
    logged = train(write_config(tmp_path, train={"log": ["csv", "jsonl"]}), tmp_path / "logged")
    from cnntrain.runs.checkpoint import read_checkpoint

    one, other = (read_checkpoint(folder.last).network for folder in (plain, logged))
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)
    assert not plain.lines.exists()


def test_going_on_appends_without_duplicates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_config(tmp_path, train={"log": ["jsonl"], "epochs": 3}, checkpoint={"every": "5 steps", "keep": 9})
    expected = train(config, tmp_path / "straight")
    with monkeypatch.context() as patch:
        stopped_at(patch, 12, signal.SIGTERM)
        folder, _ = start_run(load_config(config), Reporter(quiet=True), out=tmp_path / "run")
    folder.stopped.unlink()  # it was killed: from step 10 on
    with folder.lines.open("a") as file:
        file.write('{"kind": "step", "st')
    with monkeypatch.context() as patch:
        stopped_at(patch, STEPS, signal.SIGTERM)
        resume(folder.path)
    resume(folder.path)
    assert lines(folder) == lines(expected)
    assert same_files(folder, expected)


def test_the_row_of_a_cut_epoch_is_replaced(tmp_path: Path) -> None:
    config = write_config(tmp_path, train={"log": ["jsonl"], "epochs": None, "steps": 2 * STEPS})
    expected = train(config, tmp_path / "straight")
    folder = train(config, tmp_path / "run", f"train.steps={STEPS + 5}")
    assert lines(folder)[-1]["step"] == STEPS + 5
    resume(folder.path, f"train.steps={2 * STEPS}")
    assert lines(folder) == lines(expected)


def test_the_log_may_change_when_a_run_goes_on(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path), tmp_path / "run")
    resume(folder.path, "train.epochs=3", "train.log=[csv, jsonl]")
    assert [entry["step"] for entry in lines(folder)] == [*range(2 * STEPS + 1, 3 * STEPS + 1), 3 * STEPS]


def test_numbers_that_json_does_not_have_and_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = LinesLog(path, 0)
    log.step(StepRecord(1, 1, float("inf"), 0.5, 0.1, 32))
    log.close()
    assert json.loads(path.read_text())["loss"] is None
    path.write_bytes(b"\xff")
    with pytest.raises(RunFolderError, match=r"log\.jsonl: cannot be read: .*; move it away"):
        LinesLog(path, 0)


def points(folder: RunFolder) -> dict[str, list[tuple[int, float]]]:
    """Return what TensorBoard's own reader finds."""
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs TensorBoard, which reads the files"
    )
    found = reader.EventAccumulator(str(folder.tensorboard), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TensorBoard's imports
def test_tensorboard_reads_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboardX", reason="needs tensorboardX, which writes the files")
    config = write_config(tmp_path, train={"log": ["tensorboard", "jsonl"], "epochs": 3})
    expected = train(config, tmp_path / "straight")
    found = points(expected)
    for tag, key in (("train/loss", "train_loss"), ("validation/accuracy", "validation_accuracy")):
        assert [step for step, _ in found[tag]] == [STEPS, 2 * STEPS, 3 * STEPS]
        assert [value for _, value in found[tag]] == pytest.approx([float(row[key]) for row in rows(expected)])
    losses = {entry["step"]: entry["loss"] for entry in lines(expected) if entry["kind"] == "step"}
    assert [step for step, _ in found["step/loss"]] == [10, 20, 30, 40]
    assert [value for _, value in found["step/loss"]] == pytest.approx([losses[step] for step in (10, 20, 30, 40)])
    with monkeypatch.context() as patch:
        stopped_at(patch, STEPS + 7, signal.SIGTERM)
        folder, _ = start_run(load_config(config), Reporter(quiet=True), out=tmp_path / "run")
    folder.stopped.unlink()  # as after a kill: step 20 is made again
    assert points(folder)["step/loss"][-1][0] == 20
    resume(folder.path)
    again = points(folder)
    assert {tag: again[tag] for tag in again if tag not in TIMES} == {
        tag: found[tag] for tag in found if tag not in TIMES
    }


def test_a_package_that_is_not_there_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("cnntrain.runs.logs.find_spec", lambda name: None if name == "tensorboardX" else find(name))
    config = write_config(tmp_path, train={"log": ["csv", "tensorboard"]})
    line = 1 + config.read_text().splitlines().index("  - tensorboard")
    message = (
        f'{config}:{line}:5: train.log: tensorboard needs the package tensorboardX: pip install "cnntrain[tensorboard]"'
    )
    for command in (
        ["check", "--config", str(config)],
        ["train", "--config", str(config), "--out", str(tmp_path / "run")],
    ):
        result = CliRunner().invoke(main, command)
        assert (result.exit_code, result.stderr.splitlines()[0]) == (2, message)
    assert not (tmp_path / "run").exists()


def test_a_log_of_another_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"yaml:\d+:\d+: train\.log\.0 must be .*; did you mean tensorboard\?"):
        load_config(write_config(tmp_path, train={"log": ["tensorbord"]}))
