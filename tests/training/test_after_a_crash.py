from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cnntrain.config import load_config
from cnntrain.errors import ArgumentError
from cnntrain.runs.folder import RunFolder
from tests.training.small import (
    resume,
    rows,
    same_files,
    train,
    write_config,
)


def test_resuming_drops_what_has_no_checkpoint(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path), tmp_path / "run")
    before = folder.metrics.read_text()
    folder.metrics.write_text(before + "3,42,0.1,0.9,0.1,0.9,0.05,1000.0,1.0\n4,56,0.1,0")
    (folder.path / ".last.safetensors.123.tmp").write_text("left by a process that was killed")
    resume(folder.path)
    assert folder.metrics.read_text() == before
    assert not list(folder.path.glob(".*"))


def test_rows_that_are_missing_are_said(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path, train={"epochs": 6}), tmp_path / "run")
    lines = folder.metrics.read_text().splitlines(keepends=True)
    folder.metrics.write_text("".join(lines[i] for i in (0, 1, 5)))
    resume(folder.path)
    assert f"warning: {folder.metrics}: has no row of epoch 2 to 4, 6: lost, although" in folder.log.read_text()
    folder.metrics.unlink()
    resume(folder.path, "train.epochs=7")
    assert "has no row of epoch 1 to 6: lost" in folder.log.read_text()
    assert [row["epoch"] for row in rows(folder)] == ["7"]


def killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_run_that_was_ended_before_its_first_epoch_can_be_resumed_or_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path)
    straight = train(config, tmp_path / "straight")
    for again in ("resume", "start"):
        folder = RunFolder(tmp_path / again)
        with monkeypatch.context() as patch:
            patch.setattr("cnntrain.training.recording.save_checkpoint", killed)
            with pytest.raises(KeyboardInterrupt):
                train(config, folder.path)
        assert len(rows(folder)) == 1
        if again == "resume":
            resume(folder.path)
        else:
            train(config, folder.path)
        assert same_files(folder, straight)
        assert "beginning again: no epoch was finished" in folder.log.read_text()


def test_starting_again_with_another_config_needs_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_config(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("cnntrain.training.recording.save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "run")
    with pytest.raises(ArgumentError, match=r"Different now:\n  seed: 7 -> 8"):
        resume(tmp_path / "run", "seed=8")
    assert load_config(train(config, tmp_path / "run", "seed=8").config).seed == 8


def test_rows_and_log_are_on_the_disk_before_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a loss of power would leave the disk: of each file what was synced last."""
    synced: dict[str, bytes] = {}
    states: list[dict[str, bytes]] = []
    fsync, replace_file = os.fsync, os.replace

    def recorded_fsync(descriptor: int) -> None:
        fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_file():
            synced[path.name] = path.read_bytes()

    def recorded_replace(source: Path, target: Path) -> None:
        replace_file(source, target)
        synced[target.name] = synced.pop(source.name)
        if target.name == "last.safetensors":
            states.append(dict(synced))

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    train(write_config(tmp_path, train={"epochs": 3}), tmp_path / "run")
    assert len(states) == 3
    for epoch, state in enumerate(states, 1):
        assert state["metrics.csv"].count(b"\n") == epoch + 1
        assert f"epoch {epoch}/3  loss ".encode() in state["log.txt"]
