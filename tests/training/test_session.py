from __future__ import annotations

import errno
import io
import json
import os
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest

from cnntrain.config import load_config, resolved_yaml
from cnntrain.errors import ArgumentError, CheckpointError, RunFolderError
from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.runs.folder import RunFolder, hold
from cnntrain.runs.reporter import Reporter
from cnntrain.training import session
from cnntrain.training.session import resume_run, start_run
from cnntrain.training.setup import Training
from tests.training.small import (
    STEPS,
    TEST,
    TRAIN,
    VALIDATION,
    digits,
    resume,
    rows,
    train,
    without_times,
    write_config,
    write_data,
)

COSINE = {"cosine": {"warmup_epochs": 1}}


def stop_after(monkeypatch: pytest.MonkeyPatch, epochs: int, number: int = signal.SIGINT) -> None:
    """Send a signal as soon as that many epochs are saved."""
    original = Training.checkpoint

    def checkpoint(self: Training, progress: Any, *before: Any) -> Any:
        if progress.epoch == epochs:
            signal.raise_signal(number)
        return original(self, progress, *before)

    monkeypatch.setattr(Training, "checkpoint", checkpoint)


def test_a_run_folder_has_everything(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path))
    folder, outcome = start_run(config, Reporter(quiet=True), out=tmp_path / "run")
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "best.safetensors",
        "config.yaml",
        "environment.json",
        "last.safetensors",
        "log.txt",
        "metrics.csv",
    ]
    assert load_config(folder.config) == config
    assert outcome.stopped_by is None
    assert outcome.progress is not None
    assert (outcome.progress.epoch, outcome.progress.step) == (2, 2 * STEPS)
    assert len(rows(folder)) == 2
    process = json.loads(folder.environment.read_text())["processes"][0]
    assert process["threads"] >= 1
    assert process["packages"]["numba"] != "unknown"
    log = folder.log.read_text()
    assert f"digits: {TRAIN - VALIDATION} training images, {VALIDATION} for validation (1x14x14, 10 classes)" in log
    assert "epoch 1/2  loss " in log
    metadata = read_checkpoint(folder.last).metadata
    assert metadata.config == resolved_yaml(config)
    assert metadata.images == {"train": TRAIN - VALIDATION, "validation": VALIDATION, "test": TEST}
    assert metadata.progress == outcome.progress


def test_it_learns(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path, train={"epochs": 5}), tmp_path / "run")
    losses = [float(row["train_loss"]) for row in rows(folder)]
    assert losses[-1] < 0.5 < 1.0 < losses[0]
    assert float(rows(folder)[-1]["validation_accuracy"]) > 0.7


def test_the_test_split_is_never_looked_at(tmp_path: Path) -> None:
    config = write_config(tmp_path, data={"validation": 0})
    folder = train(config, tmp_path / "run")
    spoilt = digits() | {"y_test": 9 - digits()["y_test"], "x_test": 255 - digits()["x_test"]}
    write_data(tmp_path, spoilt)
    again = train(config, tmp_path / "again")
    assert folder.last.read_bytes() == again.last.read_bytes()


def test_without_a_validation_split_it_says_so_and_uses_the_training_loss(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path, data={"validation": 0}), tmp_path / "run")
    assert (
        "no validation split (data.validation: 0): the best epoch is the one with the least" in folder.log.read_text()
    )
    assert [(row["validation_loss"], row["validation_accuracy"]) for row in rows(folder)] == [("", ""), ("", "")]
    losses = [float(row["train_loss"]) for row in rows(folder)]
    assert read_checkpoint(folder.best).metadata.progress.epoch == 1 + losses.index(min(losses))


def test_equal_runs_give_equal_files(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    first, second = train(config, tmp_path / "a"), train(config, tmp_path / "b")
    assert first.best.read_bytes() == second.best.read_bytes()
    assert first.last.read_bytes() == second.last.read_bytes()
    third = train(config, tmp_path / "c", "seed=8")
    assert read_checkpoint(third.last).network["0.conv2d.weight"].tobytes() != (
        read_checkpoint(first.last).network["0.conv2d.weight"].tobytes()
    )


def test_a_batch_larger_than_the_split(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path, train={"batch_size": 4096}), tmp_path / "run")
    assert rows(folder)[-1]["step"] == "2"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    config = write_config(tmp_path, train={"epochs": 4}, schedule=COSINE)
    straight = train(config, tmp_path / "straight")
    with monkeypatch.context() as patch:
        stop_after(patch, 2, number)
        folder, outcome = start_run(load_config(config), Reporter(quiet=True), out=tmp_path / "run")
    assert outcome.stopped_by == number
    assert outcome.progress is not None
    assert outcome.progress.epoch == 2
    assert f"continue with: cnntrain train --resume {folder.path}" in folder.log.read_text()
    resume(folder.path)
    assert folder.last.read_bytes() == straight.last.read_bytes()
    assert folder.best.read_bytes() == straight.best.read_bytes()
    assert without_times(folder) == without_times(straight)
    assert len(json.loads(folder.environment.read_text())["processes"]) == 2


def test_an_extended_run_ends_with_the_bits_of_a_long_one(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    straight = train(config, tmp_path / "straight", "train.epochs=3")
    folder = train(config, tmp_path / "run")
    resume(folder.path, "train.epochs=3")
    assert folder.last.read_bytes() == straight.last.read_bytes()
    assert without_times(folder) == without_times(straight)
    assert load_config(folder.config).train.epochs == 3


def test_extending_says_when_the_schedule_changes(tmp_path: Path) -> None:
    for name, told in (("cosine", True), ("constant", False)):
        config = write_config(tmp_path, schedule=name)
        folder = train(config, tmp_path / name)
        resume(folder.path)
        assert "the schedule" not in folder.log.read_text()
        resume(folder.path, "train.epochs=4")
        text = "the schedule cosine now runs over 56 steps: the last step's learning rate would have been 0.0"
        assert (text in folder.log.read_text()) == told


def test_a_warning_of_the_data_is_plain_text(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    write_data(tmp_path, digits() | {"y_train": digits()["y_train"].clip(max=8)})
    stream = io.StringIO()
    parsed = load_config(config, ["data.class_names=[a, b, c, d, e, f, g, h, i, j]"])
    start_run(parsed, Reporter(quiet=True, stream=stream), out=tmp_path / "run")
    warning = "the training split has no image of 1 of 10 classes (j)"
    assert stream.getvalue() == f"warning: {tmp_path}/digits.npz: {warning}\n"


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path), tmp_path / "run")
    before = folder.last.read_bytes(), folder.metrics.read_bytes()
    resume(folder.path)
    assert (folder.last.read_bytes(), folder.metrics.read_bytes()) == before


def test_resuming_with_another_config_names_the_differences(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path), tmp_path / "run")
    before = folder.config.read_text()
    with pytest.raises(ArgumentError) as caught:
        resume(folder.path, "optimizer.sgd.learning_rate=0.1", "seed=8", "train.epochs=9")
    assert str(caught.value).splitlines() == [
        f"{folder.path}: a run goes on with the config that it began with; only train.epochs, train.steps, "
        "early_stopping.patience, checkpoint and train.log may change. Different now:",
        "  optimizer.sgd.learning_rate: 0.05 -> 0.1",
        "  seed: 7 -> 8",
    ]
    assert folder.config.read_text() == before


def test_resuming_before_the_point_already_reached(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path), tmp_path / "run")
    with pytest.raises(ArgumentError, match=r"already made 28 steps \(2 epochs\); the config now ends after 14"):
        resume(folder.path, "train.epochs=1")


def test_resuming_with_other_data(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path), tmp_path / "run")
    write_data(tmp_path, digits() | {"x_train": digits()["x_train"] // 2})
    with pytest.raises(CheckpointError, match=r"the data are not those of the run.*\n  normalization: "):
        resume(folder.path)


def test_resuming_from_a_checkpoint_without_optimizer_state(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path), tmp_path / "run")
    folder.last.write_bytes(folder.best.read_bytes())
    with pytest.raises(CheckpointError, match=r"last\.safetensors: does not fit the optimizer sgd:\n.* is missing"):
        resume(folder.path, "train.epochs=3")


def test_two_processes_cannot_train_in_one_folder(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path), tmp_path / "run")
    with hold(folder), pytest.raises(RunFolderError, match="run: another process is training in this run folder"):
        resume(folder.path, "train.epochs=3")


def test_a_full_disk_keeps_the_last_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_config(tmp_path, train={"epochs": 3})
    reference = train(config, tmp_path / "reference", "train.epochs=2")
    fsync = os.fsync
    last = tmp_path / "run" / "last.safetensors"

    def full_after_two_epochs(descriptor: int) -> None:
        if last.exists() and read_checkpoint(last).metadata.progress.epoch == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full_after_two_epochs)
    with pytest.raises(RunFolderError, match=r"safetensors: could not be written .* No space left on device; the prev"):
        train(config, tmp_path / "run")
    monkeypatch.undo()
    folder = RunFolder(tmp_path / "run")
    assert read_checkpoint(folder.last).network.keys() == read_checkpoint(reference.last).network.keys()
    assert read_checkpoint(folder.last).metadata.progress == read_checkpoint(reference.last).metadata.progress
    assert not list(folder.path.glob(".*"))
    assert "error: " in folder.log.read_text()
    resume(folder.path)
    assert len(rows(folder)) == 3


def test_warnings_of_the_start_are_in_the_log(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    write_data(tmp_path, digits() | {"y_train": digits()["y_train"].clip(max=8)})
    start_run(
        load_config(config, ["data.class_names=[a, b, c, d, e, f, g, h, i, j]"]),
        Reporter(quiet=True, stream=io.StringIO()),
        out=tmp_path / "run",
    )
    assert "warning: " in (tmp_path / "run" / "log.txt").read_text().splitlines()[0]


def test_python_warnings_are_in_the_log_and_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Training.checkpoint

    def checkpoint(self: Training, *arguments: Any) -> Any:
        warnings.warn("compiled kernels could not be kept", stacklevel=1)
        return original(self, *arguments)

    monkeypatch.setattr(Training, "checkpoint", checkpoint)
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        start_run(load_config(write_config(tmp_path)), Reporter(quiet=True, stream=stream), out=tmp_path / "run")
    assert set(stream.getvalue().splitlines()) == {"warning: compiled kernels could not be kept"}
    assert "  warning: compiled kernels could not be kept" in (tmp_path / "run" / "log.txt").read_text()


def test_compilation_is_announced_once_with_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Announcing:
        def __init__(self, callback: Any) -> None:
            self.callback = callback

        def __enter__(self) -> None:
            self.callback("one kernel")
            self.callback("another kernel")

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("cnntrain.kernels.compiler.report.announce", Announcing)
    folder = train(write_config(tmp_path), tmp_path / "run")
    lines = [line[27:] for line in folder.log.read_text().splitlines()]
    first = next(
        i for i, line in enumerate(lines) if line.startswith("compiling kernels for this machine (once; kept in ")
    )
    told = [line.partition(" (") for line in lines[first + 1 : first + 3]]
    assert [(name, count[:5]) for name, _, count in told] == [("  one kernel", "1 of "), ("  another kernel", "2 of ")]
    assert sum("compiling" in line for line in lines) == 1


def test_a_slow_threading_layer_is_a_warning_even_when_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "threading_layer", lambda: "workqueue")
    stream = io.StringIO()
    start_run(load_config(write_config(tmp_path)), Reporter(quiet=True, stream=stream), out=tmp_path / "run")
    assert stream.getvalue().startswith("warning: Numba found neither OpenMP nor TBB")
    assert "apt install libgomp1" in stream.getvalue()


def test_too_many_threads(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"--threads 1000: must be 1 to \d+, the cores that this process may use"):
        start_run(load_config(write_config(tmp_path)), Reporter(quiet=True), out=tmp_path / "run", threads=1000)
    assert not (tmp_path / "run").exists()


def test_resuming_without_config_yaml(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path), tmp_path / "run")
    before = folder.config.read_text()
    folder.config.unlink()
    resume(folder.path, "train.epochs=3")
    assert folder.config.read_text() == before.replace("epochs: 2", "epochs: 3")


def test_resuming_takes_a_config_file_too(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    folder = train(config, tmp_path / "run")
    longer = write_config(tmp_path, train={"epochs": 3})
    resume_run(folder.path, Reporter(quiet=True), config_file=longer)
    assert len(rows(folder)) == 3
