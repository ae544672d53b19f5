"""Optimisers, schedules and losses at work in a run: averaged weights, plateaus, class weights, and exact resuming."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from safetensors.numpy import load_file

import cnntrain
from cnntrain.cli import main
from cnntrain.config import load_config
from cnntrain.errors import ArgumentError, CheckpointError, ConfigError, TrainingError
from cnntrain.evaluation.evaluate import evaluate
from cnntrain.runs.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from cnntrain.runs.folder import RunFolder
from cnntrain.training.setup import build_training
from tests.training.small import STEPS, resume, rows, train, without_times, write_config

ADAM = {"adam": {"learning_rate": 0.01, "ema": 0.9, "clip_norm": 1.0, "l1_decay": 1e-5}}
PLATEAU = {"plateau": {"patience": 0, "gamma": 0.5, "threshold": 0.2}}


def configured(folder: Path, name: str = "digits", *, optimizer: Any = None, **changes: Any) -> Path:
    """As `write_config`, with another optimiser in place of the sample's."""
    path = write_config(folder, name, **changes)
    if optimizer is not None:
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"optimizer": optimizer}))
    return path


def evaluated(*arguments: str | Path) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["eval", *map(str, arguments), "--split", "validation", "--json"])
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


@pytest.mark.parametrize(
    "optimizer",
    [ADAM, {"adamw": {}}, {"rmsprop": {"learning_rate": 1e-3, "momentum": 0.5}}, {"adagrad": {}}, {"adadelta": {}}],
    ids=lambda optimizer: next(iter(optimizer)),
)
def test_an_extended_run_ends_with_the_bits_of_a_long_one(tmp_path: Path, optimizer: dict[str, Any]) -> None:
    config = configured(tmp_path, optimizer=optimizer, schedule=PLATEAU)
    straight = train(config, tmp_path / "straight", "train.epochs=4")
    folder = train(config, tmp_path / "run", "train.epochs=2")
    resume(folder.path, "train.epochs=4")
    assert folder.last.read_bytes() == straight.last.read_bytes()
    assert folder.best.read_bytes() == straight.best.read_bytes()
    assert without_times(folder) == without_times(straight)
    assert float(rows(folder)[-1]["train_loss"]) < float(rows(folder)[0]["train_loss"])


def test_a_plateau_drops_the_rate_and_is_remembered(tmp_path: Path) -> None:
    config = configured(tmp_path, schedule={"plateau": {"patience": 0, "gamma": 0.5, "threshold": 0.9}})
    folder = train(config, tmp_path / "run", "train.epochs=3")
    assert [float(row["learning_rate"]) for row in rows(folder)] == [0.05, 0.05, 0.025]
    progress = read_checkpoint(folder.last).metadata.progress
    assert progress.schedule["factor"] == 0.25
    assert progress.schedule["best"] == float(rows(folder)[0]["validation_loss"])
    resume(folder.path, "train.epochs=4")
    assert float(rows(folder)[-1]["learning_rate"]) == 0.0125
    assert "the schedule plateau now runs over" not in folder.log.read_text()


def test_a_plateau_sees_the_ends_of_epochs_only(tmp_path: Path) -> None:
    """A run may end, and be continued, inside an epoch; a run that was never stopped is not validated there."""
    config = configured(
        tmp_path, train={"epochs": None, "steps": 3 * STEPS}, schedule={"plateau": {"patience": 0, "threshold": 0.9}}
    )
    straight = train(config, tmp_path / "straight")
    folder = train(config, tmp_path / "run", f"train.steps={STEPS + 5}")
    resume(folder.path, f"train.steps={3 * STEPS}")
    one, other = read_checkpoint(folder.last), read_checkpoint(straight.last)
    assert one.metadata.progress.schedule == other.metadata.progress.schedule
    assert {k: v.tobytes() for k, v in one.network.items()} == {k: v.tobytes() for k, v in other.network.items()}


def average_of(checkpoint: Checkpoint, name: str) -> np.ndarray:
    return np.asarray(checkpoint.optimizer[f"average/{name}"])


def test_averaged_weights_are_those_that_are_used(tmp_path: Path) -> None:
    config = configured(tmp_path, optimizer={"sgd": {"learning_rate": 0.05, "ema": 0.95}}, train={"epochs": 3})
    folder = train(config, tmp_path / "run")
    last, best = read_checkpoint(folder.last), read_checkpoint(folder.best)
    assert best.optimizer == {}
    assert best.metadata.progress.epoch == 3
    for name, value in last.network.items():
        assert (value != average_of(last, name)).any()
        np.testing.assert_array_equal(best.network[name], average_of(last, name))
        np.testing.assert_array_equal(last.weights_to_use[name], best.network[name])
    # What validation reported, evaluation finds again, in either checkpoint.
    reported = float(rows(folder)[-1]["validation_loss"])
    for checkpoint in (folder.best, folder.last):
        assert evaluated(checkpoint)["loss"] == pytest.approx(reported, rel=1e-12)
    images = np.zeros((2, 1, 14, 14), np.uint8)
    np.testing.assert_array_equal(
        cnntrain.load(folder.last).probabilities(images), cnntrain.load(folder.best).probabilities(images)
    )


def test_averages_follow_the_weights(tmp_path: Path) -> None:
    """The average after n steps from the weights after each step, which runs of 1, 2, 3 steps tell."""
    settings = {"sgd": {"learning_rate": 0.05, "ema": 0.8}}
    config = configured(tmp_path, optimizer=settings, train={"epochs": None, "steps": 1})
    name = "0.conv2d.weight"
    weights, last = [], None
    for steps in (1, 2, 3):
        folder = train(config, tmp_path / f"run{steps}", f"train.steps={steps}")
        last = read_checkpoint(folder.last)
        weights.append(last.network[name].astype(np.float64))
    assert last is not None
    expected = 0.8 * (0.8 * weights[0] + 0.2 * weights[1]) + 0.2 * weights[2]
    np.testing.assert_allclose(average_of(last, name), expected, rtol=1e-6, atol=1e-8)


def test_training_itself_does_not_see_the_averages(tmp_path: Path) -> None:
    plain = configured(tmp_path, "plain", optimizer={"sgd": {"learning_rate": 0.05}})
    averaging = configured(tmp_path, "averaging", optimizer={"sgd": {"learning_rate": 0.05, "ema": 0.9}})
    one, other = train(plain, tmp_path / "a"), train(averaging, tmp_path / "b")
    assert [row["train_loss"] for row in rows(one)] == [row["train_loss"] for row in rows(other)]
    assert [row["validation_loss"] for row in rows(one)] != [row["validation_loss"] for row in rows(other)]
    networks = [read_checkpoint(folder.last).network for folder in (one, other)]
    for name, value in networks[0].items():
        np.testing.assert_array_equal(value, networks[1][name])


def test_a_nan_in_the_averages_is_found(tmp_path: Path) -> None:
    folder = train(configured(tmp_path, optimizer={"sgd": {"learning_rate": 0.05, "ema": 0.9}}), tmp_path / "run")
    last = read_checkpoint(folder.last)
    bad = average_of(last, "3.dense.bias").copy()
    bad[0] = np.nan
    path = tmp_path / "nan.safetensors"
    save_checkpoint(path, Checkpoint(last.metadata, last.network, {**last.optimizer, "average/3.dense.bias": bad}))
    result = CliRunner().invoke(main, ["eval", str(path)])
    assert result.exit_code == 1
    assert "NaN or infinity in 3.dense.bias" in result.stderr


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("steps", np.array([-3]), "the optimiser's steps must be one whole number, 0 or more"),
        ("steps", np.array([3], np.float32), r"steps is float32\[1\], expected int64\[1\]"),
        (
            "average/3.dense.bias",
            np.zeros(9, np.float32),
            r"average/3.dense.bias is float32\[9\], expected float32\[10",
        ),
    ],
)
def test_hostile_optimizer_state(tmp_path: Path, name: str, value: np.ndarray, message: str) -> None:
    folder = train(configured(tmp_path, optimizer=ADAM), tmp_path / "run", "train.epochs=1")
    last = read_checkpoint(folder.last)
    save_checkpoint(folder.last, Checkpoint(last.metadata, last.network, {**last.optimizer, name: value}))
    with pytest.raises(CheckpointError, match=message):
        resume(folder.path, "train.epochs=2")


@pytest.mark.parametrize("state", [{}, {"factor": -1.0, "best": 1.0, "bad_epochs": 0, "cooldown": 0}])
def test_hostile_schedule_state(tmp_path: Path, state: dict[str, float | None]) -> None:
    folder = train(configured(tmp_path, schedule=PLATEAU), tmp_path / "run", "train.epochs=1")
    last = read_checkpoint(folder.last)
    progress = last.metadata.progress.model_copy(update={"schedule": state})
    metadata = last.metadata.model_copy(update={"progress": progress})
    save_checkpoint(folder.last, Checkpoint(metadata, last.network, last.optimizer))
    with pytest.raises(CheckpointError, match=r"last\.safetensors: the state .*schedule plateau"):
        resume(folder.path, "train.epochs=2")


WEIGHTED = {"cross_entropy": {"class_weights": [5, 0, 1, 1, 0.5, 1, 1, 1, 2, 1], "label_smoothing": 0.1}}


def test_a_weighted_mean_does_not_depend_on_the_batches(tmp_path: Path) -> None:
    training = build_training(load_config(configured(tmp_path, loss=WEIGHTED)), pytest.fail)
    results = [
        evaluate(training.network, training.data.test, training.data.normalization, size) for size in (32, 31, 16, 1)
    ]
    assert [result.loss for result in results] == pytest.approx([results[0].loss] * 4, rel=1e-6)
    test = training.data.test
    logits = training.network.predict_logits(test.images, training.data.normalization).astype(np.float64)
    labels = test.labels
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    weights = np.array(WEIGHTED["cross_entropy"]["class_weights"])
    targets = weights * (0.9 * np.eye(10)[labels] + 0.01)
    assert results[0].loss == pytest.approx(-(targets * logs).sum() / weights[labels].sum(), rel=1e-6)


def test_a_weighted_training_and_its_continuation_inside_an_epoch(tmp_path: Path) -> None:
    config = configured(tmp_path, loss=WEIGHTED, train={"epochs": None, "steps": 2 * STEPS})
    straight = train(config, tmp_path / "straight")
    folder = train(config, tmp_path / "run", f"train.steps={STEPS + 5}")
    resume(folder.path, f"train.steps={2 * STEPS}")
    assert [row["train_loss"] for row in rows(folder)][-1] == [row["train_loss"] for row in rows(straight)][-1]
    assert load_file(folder.last)["3.dense.weight"].tobytes() == load_file(straight.last)["3.dense.weight"].tobytes()


@pytest.mark.parametrize("loss", ["hinge", {"hinge": 2}, {"multi_margin": {"norm": 2}}, WEIGHTED], ids=str)
def test_every_loss_learns(tmp_path: Path, loss: Any) -> None:
    folder = train(configured(tmp_path, loss=loss, optimizer={"adam": 0.01}, train={"epochs": 4}), tmp_path / "run")
    losses = [float(row["train_loss"]) for row in rows(folder)]
    assert losses[-1] < 0.5 * losses[0]
    assert float(rows(folder)[-1]["train_accuracy"]) > 0.7  # a tenth of the images have the weight 0 in one case


def test_class_weights_of_another_number_of_classes(tmp_path: Path) -> None:
    config = configured(tmp_path, loss={"cross_entropy": {"class_weights": [1, 2, 3]}})
    with pytest.raises(ConfigError, match="needs one weight per class: class_weights has 3, the data 10 classes"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_clipping_saves_a_training_that_would_diverge(tmp_path: Path) -> None:
    wild = {"learning_rate": 1e4}
    with pytest.raises(TrainingError):
        train(configured(tmp_path, loss="mse", optimizer={"sgd": wild}), tmp_path / "wild")
    tamed = {"sgd": {**wild, "clip_norm": 1e-5}}
    assert len(rows(train(configured(tmp_path, loss="mse", optimizer=tamed), tmp_path / "tamed"))) == 2


def test_the_optimizer_cannot_be_changed_on_the_way(tmp_path: Path) -> None:
    folder: RunFolder = train(configured(tmp_path, optimizer=ADAM), tmp_path / "run", "train.epochs=1")
    with pytest.raises(ArgumentError, match=r"optimizer\.adam\.ema: 0\.9 -> 0\.8"):
        resume(folder.path, "train.epochs=2", "optimizer.adam.ema=0.8")
