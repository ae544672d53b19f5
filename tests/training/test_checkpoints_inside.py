"""Checkpoints inside epochs: a run goes on from each of them to the bits of one never stopped."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from cnntrain.config import load_config
from cnntrain.config.course import CheckpointSettings
from cnntrain.errors import CheckpointError, ConfigError, RunFolderError, TrainingError
from cnntrain.runs import disk
from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.runs.folder import RunFolder, find_checkpoint
from cnntrain.runs.reporter import ProgressBar, Reporter
from cnntrain.training import keeping
from cnntrain.training.loop import Loop, Outcome
from cnntrain.training.session import start_run
from tests.training.small import STEPS, resume, rows, same_files, train, write_config

# Everything that a step may depend on: drawn numbers, running statistics, averages, a schedule with a memory.
EVERYTHING: dict[str, Any] = {
    "data": {"augment": [{"random_crop": {"padding": 1}}]},
    "network": [
        {"conv2d": {"filters": 4, "kernel_size": 3}}, "batch_norm2d", "tanh", {"max_pool2d": 2}, {"dropout": 0.2},
        {"dense": "classes"},
    ],
    "optimizer": {"sgd": {"learning_rate": 0.05, "momentum": 0.9, "ema": 0.9}},
    "schedule": {"plateau": {"patience": 0, "threshold": 10.0, "threshold_mode": "absolute"}},  # falls every epoch
    "early_stopping": {"patience": 9},
    "train": {"epochs": 3},
}  # fmt: skip


def stopped_at(monkeypatch: pytest.MonkeyPatch, step: int, number: int = signal.SIGTERM) -> None:
    """Send a signal as soon as this step is made."""
    original = ProgressBar.advance

    def advance(self: ProgressBar, images: int, loss: float) -> None:
        original(self, images, loss)
        advance.step += 1  # type: ignore[attr-defined]
        if advance.step == step:  # type: ignore[attr-defined]
            signal.raise_signal(number)

    advance.step = 0  # type: ignore[attr-defined]
    monkeypatch.setattr(ProgressBar, "advance", advance)


def start(config: Path, out: Path, *overrides: str) -> tuple[RunFolder, Outcome]:
    return start_run(load_config(config, overrides), Reporter(quiet=True), out=out)


def files(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir() if path.suffix == ".safetensors")


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunFolder]:
    folder = tmp_path_factory.mktemp("straight")
    config = write_config(folder, **EVERYTHING, checkpoint={"every": "5 steps", "keep": None})
    return config, train(config, folder / "run")


def test_kept_checkpoints_are_named_by_step(straight: tuple[Path, RunFolder]) -> None:
    _, folder = straight
    assert folder.kept_steps() == [5, 10, 15, 20, 25, 30, 35, 40]
    inside = read_checkpoint(folder.path / "step-000020.safetensors").metadata
    assert inside.progress.step == 20
    assert inside.progress.unfinished.images == (20 - STEPS) * 32
    assert inside.recorded is not None
    assert inside.recorded.step == STEPS


@pytest.mark.parametrize("step", [5, 20, 35])
def test_a_run_goes_on_from_each_to_the_same_bits(tmp_path: Path, straight: tuple[Path, RunFolder], step: int) -> None:
    """As after a kill: what is newer is not there, or is damaged; rows and log may know more."""
    _, expected = straight
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    for path in expected.path.iterdir():
        (folder.path / path.name).write_bytes(path.read_bytes())
    for later in [at for at in folder.kept_steps() if at > step]:
        folder.at_step(later).unlink()
    epochs = step // STEPS
    with pytest.MonkeyPatch.context() as patch:
        if epochs:  # the files of that many epochs
            shorter = train(write_config(tmp_path, **EVERYTHING), tmp_path / "shorter", f"train.epochs={epochs}")
            folder.last.write_bytes(shorter.last.read_bytes())
            folder.best.write_bytes(shorter.best.read_bytes())
        else:
            folder.last.unlink()
            folder.best.unlink()
        patch.setattr("cnntrain.training.resume.MAY_CHANGE", ("train.epochs", "data", "checkpoint"))
        resume(folder.path)
    assert same_files(folder, expected)
    assert f"continuing {folder.path} inside epoch {epochs + 1} (step {step})" in folder.log.read_text()
    for at in expected.kept_steps():
        assert folder.at_step(at).read_bytes() == expected.at_step(at).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("steps", [[3], [STEPS + 4, 5, 1], [STEPS, 6]], ids=str)
def test_a_signal_keeps_the_steps_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[int], number: int
) -> None:
    config = write_config(tmp_path, **EVERYTHING)
    expected = train(config, tmp_path / "straight")
    made, folder = 0, RunFolder(tmp_path / "run")
    for turn, more in enumerate(steps):
        with monkeypatch.context() as patch:
            stopped_at(patch, more, number)
            if turn:
                resume(folder.path)
            else:
                _, outcome = start(config, folder.path)
                assert (outcome.stopped_by, outcome.step) == (number, more)
        made += more
        log = folder.log.read_text()
        if made % STEPS:
            progress = read_checkpoint(folder.stopped).metadata.progress
            assert (progress.step, progress.unfinished.images) == (made, made % STEPS * 32)
            assert f": the checkpoint of step {made} is in {folder.stopped}; continue with: cnntrain train" in log
        else:
            assert not folder.stopped.exists()
            assert f": the checkpoint of epoch {made // STEPS} is in {folder.last}; continue with" in log
    resume(folder.path)
    assert same_files(folder, expected)
    assert files(folder) == files(expected) == ["best.safetensors", "last.safetensors"]


def test_a_signal_before_the_next_step_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_config(tmp_path)
    with monkeypatch.context() as patch:
        stopped_at(patch, 5)
        folder, _ = start(config, tmp_path / "run")
    before = folder.stopped.stat()
    with monkeypatch.context() as patch:
        original = Loop._remaining

        def remaining(self: Loop, epoch: int) -> Any:
            signal.raise_signal(signal.SIGTERM)
            return original(self, epoch)

        patch.setattr(Loop, "_remaining", remaining)
        resume(folder.path)
    assert folder.stopped.stat().st_mtime_ns == before.st_mtime_ns
    assert folder.log.read_text().count(f"the checkpoint of step 5 is in {folder.stopped}") == 2


@pytest.mark.usefixtures("flattering")
def test_a_stop_in_an_epoch_whose_cut_form_is_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_config(tmp_path, train={"epochs": None, "steps": 3 * STEPS})
    expected = train(config, tmp_path / "straight")
    folder = train(config, tmp_path / "run", f"train.steps={STEPS + 5}")
    with monkeypatch.context() as patch:
        stopped_at(patch, 3)
        resume(folder.path, f"train.steps={3 * STEPS}")
    assert read_checkpoint(folder.stopped).metadata.progress.step == STEPS + 8
    assert [row["step"] for row in rows(folder)] == [str(STEPS), str(STEPS + 5)]
    resume(folder.path)
    assert same_files(folder, expected)
    assert read_checkpoint(folder.best).metadata.progress.epoch == 1


def test_a_run_that_shall_end_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_config(tmp_path, train={"epochs": None, "steps": 2 * STEPS})
    expected = train(config, tmp_path / "straight", f"train.steps={STEPS + 5}")
    with monkeypatch.context() as patch:
        stopped_at(patch, STEPS + 5)
        folder, _ = start(config, tmp_path / "run")
    resume(folder.path, f"train.steps={STEPS + 5}")
    assert same_files(folder, expected)


def test_the_oldest_go_when_the_new_one_is_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[list[int]] = []
    original = disk.remove

    def remove(path: Path) -> None:
        there.append(RunFolder(path.parent).kept_steps())
        original(path)

    monkeypatch.setattr(keeping, "remove", remove)
    config = write_config(tmp_path, checkpoint={"every": "4 steps", "keep": 2})
    folder = train(config, tmp_path / "run")
    assert folder.kept_steps() == [24, 28]
    assert [4, 8, 12] in there
    assert files(folder)[-1] == "step-000028.safetensors"
    assert folder.at_step(28).read_bytes() == folder.last.read_bytes()


def test_checkpoints_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(10_000))
    monkeypatch.setattr(time, "monotonic", lambda: 60.0 * next(now))  # each look at the clock is a minute later
    folder = train(write_config(tmp_path, checkpoint={"every": "3 minutes", "keep": None}), tmp_path / "run")
    steps = folder.kept_steps()
    assert len(steps) > 5
    assert read_checkpoint(folder.at_step(steps[0])).metadata.progress.step == steps[0]


@pytest.mark.parametrize(
    ("every", "steps", "seconds"),
    [
        ("500 steps", 500, None), ("1 step", 1, None), ("1 epoch", 14, None), ("0.5 epochs", 7, None),
        ("0.01 epochs", 1, None), ("10 minutes", None, 600), ("30seconds", None, 30), ("1.5 hours", None, 5400),
    ],
)  # fmt: skip
def test_how_often(every: str, steps: int | None, seconds: float | None) -> None:
    settings = CheckpointSettings(every=every)
    assert settings.steps(STEPS) == steps
    assert settings.seconds == (float("inf") if seconds is None else seconds)


@pytest.mark.parametrize("every", ["500", "0 steps", "1.5 steps", "-3 epochs", "often", "10 minutes and more"])
def test_how_often_not(tmp_path: Path, every: str) -> None:
    config = write_config(tmp_path, checkpoint={"every": every})
    with pytest.raises(ConfigError, match=r"yaml:\d+:\d+: checkpoint\.every must be a number with its unit: 500 steps"):
        load_config(config)


def test_a_damaged_checkpoint_is_put_aside(tmp_path: Path) -> None:
    config = write_config(tmp_path, checkpoint={"every": "5 steps", "keep": None})
    expected = train(config, tmp_path / "straight")
    folder = train(config, tmp_path / "run")
    for path in (folder.last, folder.at_step(25)):
        path.write_bytes(path.read_bytes()[:-1])
    resume(folder.path)
    assert same_files(folder, expected)
    assert (folder.path / "step-000025.safetensors.damaged").exists()
    log = folder.log.read_text()
    assert f"warning: {folder.last}: is truncated" in log
    assert "Going on from step-000020.safetensors" in log
    for path in (folder.last, *map(folder.at_step, folder.kept_steps())):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"last\.safetensors: is truncated"):
        resume(folder.path)


@pytest.mark.parametrize("lost", [["best"], ["best", "last"]], ids=" and ".join)
def test_best_that_is_lost_while_the_run_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: list[str]
) -> None:
    config = write_config(tmp_path, data={"validation": 0})  # each epoch is the best
    expected = train(config, tmp_path / "straight")
    with monkeypatch.context() as patch:
        stopped_at(patch, STEPS + 5)
        folder, _ = start(config, tmp_path / "run")
    before = folder.best.read_bytes()
    for name in lost:
        (folder.path / f"{name}.safetensors").unlink()
    with monkeypatch.context() as patch:
        stopped_at(patch, 1)
        resume(folder.path)
    if lost == ["best"]:
        assert folder.best.read_bytes() == before
        assert f"warning: {folder.best}: is lost; made again from last.safetensors" in folder.log.read_text()
    else:
        assert "cannot be made again: the best epoch was 1. The next epoch is the best" in folder.log.read_text()
    resume(folder.path)
    assert same_files(folder, expected)


def test_numbers_that_are_not_finite_are_not_kept(tmp_path: Path) -> None:
    config = write_config(tmp_path, checkpoint={"every": "1 step", "keep": None}, network=[{"dense": "classes"}])
    with pytest.raises(TrainingError) as caught:
        train(config, tmp_path / "run", "optimizer.sgd.learning_rate=1e38", "train.epochs=1")
    for step in RunFolder(tmp_path / "run").kept_steps():
        assert read_checkpoint(RunFolder(tmp_path / "run").at_step(step)).not_finite == []
    assert "epoch 1, step " in str(caught.value)


def test_what_there_is_of_a_run_without_a_whole_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_config(tmp_path)
    with monkeypatch.context() as patch:
        stopped_at(patch, 5)
        folder, _ = start(config, tmp_path / "run")
    message = r"no epoch of this run was finished; there is .*stopped\.safetensors of a step inside it"
    with pytest.raises(RunFolderError, match=message):
        find_checkpoint(folder.path)
    with pytest.raises(RunFolderError, match=r"is not empty \(it has stopped\.safetensors\).*--resume"):
        train(config, folder.path)
