from __future__ import annotations

import signal
from pathlib import Path

import pytest

from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.runs.folder import RunFolder
from cnntrain.training.loop import Loop, Outcome
from tests.training.small import (
    STEPS,
    resume,
    rows,
    same_files,
    train,
    write_config,
)


def test_steps_end_within_an_epoch(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path, train={"epochs": None, "steps": 2 * STEPS + 3}), tmp_path / "run")
    assert [(row["epoch"], row["step"]) for row in rows(folder)] == [("1", "14"), ("2", "28"), ("3", "31")]
    assert read_checkpoint(folder.last).metadata.progress.unfinished.images == 3 * 32


@pytest.mark.parametrize(
    "stops",
    [[5], [STEPS + 5], [5, 9, STEPS + 3, STEPS + 7], [STEPS, STEPS + 5, 2 * STEPS, 2 * STEPS + 1]],
    ids=str,
)
@pytest.mark.parametrize("end", [2 * STEPS, 3 * STEPS, 2 * STEPS + 3])
@pytest.mark.parametrize("ema", [None, 0.9])
def test_extending_from_within_an_epoch_gives_the_files_of_a_run_never_stopped(
    tmp_path: Path, stops: list[int], end: int, ema: float | None
) -> None:
    sgd = {"learning_rate": 0.05, "momentum": 0.9, "ema": ema}
    config = write_config(tmp_path, train={"epochs": None, "steps": end}, optimizer={"sgd": sgd})
    straight = train(config, tmp_path / "straight")
    folder = RunFolder(tmp_path / "run")
    first, *others = [stop for stop in stops if stop < end]
    train(config, folder.path, f"train.steps={first}")
    for steps in [*others, end]:
        resume(folder.path, f"train.steps={steps}")
    assert same_files(folder, straight)
    assert [row["epoch"] for row in rows(folder)] == [str(epoch + 1) for epoch in range(-(-end // STEPS))]


@pytest.mark.usefixtures("flattering")
def test_an_epoch_that_was_cut_short_is_the_best_only_while_the_run_ends_there(tmp_path: Path) -> None:
    config = write_config(tmp_path, train={"epochs": None, "steps": 3 * STEPS})
    straight = train(config, tmp_path / "straight")
    folder = train(config, tmp_path / "run", f"train.steps={STEPS + 5}")
    assert read_checkpoint(folder.best).metadata.progress.step == STEPS + 5
    resume(folder.path)  # changes nothing
    resume(folder.path, f"train.steps={STEPS + 6}")
    assert read_checkpoint(folder.best).metadata.progress.step == STEPS + 6
    resume(folder.path, f"train.steps={3 * STEPS}")
    assert read_checkpoint(folder.best).metadata.progress.epoch == 1
    assert same_files(folder, straight)


@pytest.mark.usefixtures("flattering")
def test_a_longer_run_that_is_stopped_before_the_epoch_ends_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path, train={"epochs": None, "steps": STEPS + 5})
    folder = train(config, tmp_path / "run")
    before = folder.metrics.read_bytes(), read_checkpoint(folder.best).network["0.conv2d.weight"].tobytes()
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_train", lambda *_: None)
        patch.setattr(Loop, "run", lambda self: Outcome(self._records.progress, signal.SIGTERM))
        resume(folder.path, f"train.steps={2 * STEPS}")
    assert (folder.metrics.read_bytes(), read_checkpoint(folder.best).network["0.conv2d.weight"].tobytes()) == before
    assert "best: epoch 2" in folder.log.read_text()
    resume(folder.path)
    assert [row["step"] for row in rows(folder)] == ["14", "28"]
