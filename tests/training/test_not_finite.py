from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnntrain.errors import CheckpointError, TrainingError
from cnntrain.optimizers.sgd import Sgd
from cnntrain.runs.checkpoint import read_checkpoint, save_checkpoint
from cnntrain.runs.folder import RunFolder
from cnntrain.training.setup import Training
from tests.training.small import (
    TRAIN,
    VALIDATION,
    resume,
    rows,
    train,
    write_config,
)


def test_a_huge_learning_rate_says_where_it_broke(tmp_path: Path) -> None:
    config = write_config(tmp_path, optimizer={"sgd": {"learning_rate": 1e38, "momentum": 0.9}})
    with pytest.raises(TrainingError) as caught:
        train(config, tmp_path / "run")
    message = str(caught.value)
    assert message.startswith("epoch 1, step ")
    assert "learning rate 1e+38: the training loss became " in message
    assert "first found: " in message
    assert "no epoch was finished before" in message
    assert "--set optimizer.sgd.learning_rate=1e+37" in message
    assert message in (tmp_path / "run" / "log.txt").read_text()


def test_a_late_nan_keeps_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_config(tmp_path)
    original = Training.learning_rate_at
    monkeypatch.setattr(Training, "learning_rate_at", lambda self, step: original(self, step) if step < 20 else np.inf)
    with pytest.raises(TrainingError) as caught:
        train(config, tmp_path / "run")
    message = str(caught.value)
    assert message.startswith("epoch 2, step 22, learning rate inf: the training loss became nan\n")
    assert "first found: parameter 0.conv2d.weight holds " in message
    assert "(its gradient was finite: the update was too large)" in message
    assert f"the checkpoint of epoch 1 is in {tmp_path}/run/last.safetensors" in message
    assert read_checkpoint(tmp_path / "run" / "last.safetensors").metadata.progress.epoch == 1


def overflowing(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let one update, counted from 1, be infinitely large."""
    original = Training.learning_rate_at
    monkeypatch.setattr(
        Training, "learning_rate_at", lambda self, number: np.inf if number + 1 == step else original(self, number)
    )


@pytest.mark.parametrize("validation", [0, VALIDATION])
@pytest.mark.parametrize("epochs", [2, 3])
def test_weights_that_break_in_the_last_step_of_an_epoch_are_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validation: int, epochs: int
) -> None:
    config = write_config(tmp_path, data={"validation": validation}, train={"epochs": epochs})
    good = train(config, tmp_path / "good", "train.epochs=1")
    per_epoch = -(-(TRAIN - validation) // 32)
    overflowing(monkeypatch, 2 * per_epoch)
    with pytest.raises(TrainingError) as caught:
        train(config, tmp_path / "run")
    message = str(caught.value)
    assert message.startswith(
        f"epoch 2, step {2 * per_epoch}, learning rate inf: the epoch's last update left NaN or inf"
    )
    assert "first found: parameter 0.conv2d.weight holds " in message
    assert "after the update (its gradient was finite: the update was too large)" in message
    assert f"the checkpoint of epoch 1 is in {tmp_path}/run/last.safetensors" in message
    folder = RunFolder(tmp_path / "run")
    for path in (folder.best, folder.last):
        found, expected = read_checkpoint(path), read_checkpoint(good.path / path.name)
        assert found.not_finite == []
        assert found.metadata.progress == expected.metadata.progress
        assert found.network["3.dense.bias"].tobytes() == expected.network["3.dense.bias"].tobytes()
    assert len(rows(folder)) == 1
    monkeypatch.undo()
    resume(folder.path)
    assert len(rows(folder)) == epochs


def test_a_single_step_that_breaks_leaves_no_checkpoint(tmp_path: Path) -> None:
    config = write_config(tmp_path, data={"validation": 0}, train={"epochs": None, "steps": 1})
    with pytest.raises(TrainingError, match=r"(?s)^epoch 1, step 1, .* no epoch was finished before"):
        train(config, tmp_path / "run", "optimizer.sgd.learning_rate=1e308")
    assert not list((tmp_path / "run").glob("*.safetensors"))


@pytest.mark.parametrize("where", ["velocity/3.dense.bias", "average/3.dense.bias", "steps of nothing"])
def test_state_that_no_loss_has_seen_is_not_saved_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    sgd = {"learning_rate": 0.05, "momentum": 0.9, "ema": 0.9}
    config = write_config(tmp_path, optimizer={"sgd": sgd}, data={"validation": 0})
    original = Sgd.step

    def step(self: Sgd, learning_rate: float) -> None:
        original(self, learning_rate)
        if self._steps == 2 * 16 and where in self._views():
            self._views()[where][1][...] = np.inf

    monkeypatch.setattr(Sgd, "step", step)
    if where not in ("velocity/3.dense.bias", "average/3.dense.bias"):
        assert read_checkpoint(train(config, tmp_path / "run").last).metadata.progress.epoch == 2
        return
    with pytest.raises(TrainingError, match=f"the optimiser's {where} holds 10 infinite of 10 values; all parameters"):
        train(config, tmp_path / "run")
    assert read_checkpoint(tmp_path / "run" / "last.safetensors").metadata.progress.epoch == 1


def test_a_schedule_that_overflows(tmp_path: Path) -> None:
    schedule = {"multi_step": {"steps": [3, 5], "gamma": 1e300}}
    with pytest.raises(TrainingError, match="the training loss became "):
        train(write_config(tmp_path, schedule=schedule), tmp_path / "run")
    with pytest.raises(TrainingError, match="step 6, learning rate inf: "):
        train(
            write_config(tmp_path, schedule={"multi_step": {"steps": [4, 5], "gamma": 1e300}}), tmp_path / "other",
            "train.epochs=null", "train.steps=6", "optimizer.sgd.learning_rate=1e-300",
        )  # fmt: skip


def test_initial_values_that_are_not_finite(tmp_path: Path) -> None:
    huge = {"constant": 3e38}
    network = [{"dense": {"units": 5, "weight_init": huge}}, {"dense": "classes"}]
    with pytest.raises(TrainingError, match="the output of layer 0.dense holds "):
        train(write_config(tmp_path, network=network), tmp_path / "run")


def test_resuming_from_numbers_that_are_not_finite(tmp_path: Path) -> None:
    folder = train(write_config(tmp_path), tmp_path / "run")
    last = read_checkpoint(folder.last)
    broken = {**last.optimizer, "velocity/3.dense.bias": np.full(10, np.nan, np.float32)}
    save_checkpoint(folder.last, replace(last, optimizer=broken))
    with pytest.raises(
        CheckpointError, match="NaN or infinity in optimizer/velocity/3.dense.bias: a training cannot go on"
    ):
        resume(folder.path, "train.epochs=3")
