from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cnntrain.runs.checkpoint import read_checkpoint, save_checkpoint
from tests.training.small import (
    resume,
    rows,
    train,
    write_config,
)


def test_best_is_the_best_by_validation(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path, train={"epochs": 6}), tmp_path / "run")
    merits = [(float(row["validation_accuracy"]), -float(row["validation_loss"])) for row in rows(folder)]
    best = read_checkpoint(folder.best)
    assert best.metadata.progress.epoch == 1 + merits.index(max(merits))
    assert best.optimizer == {}
    assert read_checkpoint(folder.last).metadata.progress.best_epoch == best.metadata.progress.epoch


def test_best_that_is_lost_is_made_again_from_last_where_it_is_the_same_epoch(tmp_path: Path) -> None:
    config = write_config(tmp_path, data={"validation": 0})  # the last epoch is the best
    folder = train(config, tmp_path / "run")
    before = folder.best.read_bytes()
    assert read_checkpoint(folder.best).metadata.progress.epoch == 2
    folder.best.unlink()
    resume(folder.path)
    assert folder.best.read_bytes() == before
    assert f"warning: {folder.best}: is lost; made again from last.safetensors" in folder.log.read_text()


@pytest.mark.usefixtures("flattering")
@pytest.mark.parametrize("how", ["lost", "foreign", "damaged", "older"])
def test_best_that_cannot_be_made_again_is_said(tmp_path: Path, how: str) -> None:
    folder = train(write_config(tmp_path, train={"epochs": 3}), tmp_path / "run")
    assert read_checkpoint(folder.last).metadata.progress.best_epoch == 1
    put: bytes | None = None
    if how == "foreign":
        put = train(write_config(tmp_path, seed=8, train={"epochs": 3}), tmp_path / "other").best.read_bytes()
        reason = "is of another run"
    elif how == "damaged":
        put = folder.best.read_bytes()
        put = put[:-1] + bytes([put[-1] ^ 1])
        reason = "is damaged: tensor "
    elif how == "older":
        best = read_checkpoint(folder.best)
        progress = best.metadata.progress.model_copy(
            update={"metrics": best.metadata.progress.best_metrics, "epoch": 2}
        )
        save_checkpoint(folder.best, replace(best, metadata=best.metadata.model_copy(update={"progress": progress})))
        reason = "is of epoch 2, the best was epoch 1"
        put = folder.best.read_bytes()
    else:
        folder.best.unlink()
        reason = "is lost"
    if put is not None:
        folder.best.write_bytes(put)
    resume(folder.path)
    log = folder.log.read_text()
    assert f"warning: {folder.best}: {reason}" in log
    assert "cannot be made again: the best epoch was 1, last.safetensors is of epoch 3." in log
    assert read_checkpoint(folder.best).metadata.progress.epoch == 3
    assert read_checkpoint(folder.last).metadata.progress.best_epoch == 3
    assert "best: epoch 3" in log.splitlines()[-1]
    if put is not None:
        assert (folder.path / "best.safetensors.foreign").read_bytes() == put
    resume(folder.path)
    assert folder.log.read_text().count("cannot be made again") == 1
