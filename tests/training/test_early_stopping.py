from __future__ import annotations

import signal
from pathlib import Path

import pytest

from cnntrain.config import load_config
from cnntrain.config.course import EarlyStoppingSettings
from cnntrain.errors import CheckpointError, ConfigError
from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.runs.progress import Metrics, Sums
from cnntrain.runs.reporter import Reporter
from cnntrain.training.early_stopping import EarlyStopping
from cnntrain.training.loop import Loop
from cnntrain.training.session import start_run
from tests.training.small import STEPS, resume, rows, same_files, train, write_config
from tests.training.test_session import stop_after

LOSSES = [0.9, 0.5, 0.6, 0.5, 0.55, 0.4, 0.3]  # by epoch: from the second on nothing better for three epochs


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the validation losses of whole epochs be `LOSSES`; inside an epoch it is better than ever."""
    original = Loop._validated

    def validated(self: Loop, sums: Sums) -> Metrics:
        epoch, inside = divmod(self._step, STEPS)
        return original(self, sums).model_copy(update={"validation_loss": 0.0 if inside else LOSSES[epoch - 1]})

    monkeypatch.setattr(Loop, "_validated", validated)


def ends(settings: EarlyStoppingSettings, values: list[float]) -> int | None:
    """Return the epoch after which a training with these values of the metric ends."""
    stopping = EarlyStopping(settings)
    for epoch, value in enumerate(values, 1):
        metrics = Metrics(train_loss=value, train_accuracy=value, validation_loss=value, validation_accuracy=value)
        stopping.observe(epoch, metrics)
        if stopping.reason is not None:
            return epoch
    return None


@pytest.mark.parametrize(
    ("settings", "values", "expected"),
    [  # counted by hand
        ({"patience": 3}, LOSSES, 5),
        ({"patience": 4}, LOSSES, None),
        ({"patience": 1}, LOSSES, 3),
        ({"patience": 2, "min_delta": 0.5}, LOSSES, 3),
        ({"patience": 2, "metric": "train_loss"}, [0.5, 0.5, 0.5], 3),
        ({"patience": 2, "metric": "validation_accuracy"}, [0.5, 0.6, 0.6, 0.7, 0.65, 0.7], 6),
        ({"patience": 2, "metric": "train_accuracy", "min_delta": 0.05}, [0.5, 0.54, 0.56, 0.6, 0.6], 5),
    ],
)
def test_when_it_ends(settings: dict[str, object], values: list[float], expected: int | None) -> None:
    assert ends(EarlyStoppingSettings.model_validate(settings), values) == expected


@pytest.mark.usefixtures("measured")
def test_a_training_that_no_longer_gets_better_ends_and_keeps_its_best(tmp_path: Path) -> None:
    config = write_config(tmp_path, train={"epochs": 7}, early_stopping={"patience": 3})
    folder, outcome = start_run(load_config(config), Reporter(quiet=True), out=tmp_path / "run")
    assert [row["epoch"] for row in rows(folder)] == ["1", "2", "3", "4", "5"]
    assert outcome.stopped_by is None
    assert outcome.no_better == "validation_loss has not improved in the last 3 epochs: 0.5 in epoch 2"
    assert f"ended early: {outcome.no_better}" in folder.log.read_text()
    best = read_checkpoint(folder.last).metadata.progress.best_epoch
    assert read_checkpoint(folder.best).metadata.progress.epoch == best
    before = folder.last.read_bytes()
    resume(folder.path)  # it has ended
    assert folder.last.read_bytes() == before
    resume(folder.path, "early_stopping.patience=4")
    assert len(rows(folder)) == 7


@pytest.mark.usefixtures("measured")
def test_going_on_decides_as_if_never_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_config(tmp_path, train={"epochs": 7}, early_stopping={"patience": 3})
    straight = train(config, tmp_path / "straight")
    with monkeypatch.context() as patch:
        stop_after(patch, 4, signal.SIGTERM)
        folder = train(config, tmp_path / "run")
    assert len(rows(folder)) == 4
    resume(folder.path)
    assert same_files(folder, straight)


@pytest.mark.usefixtures("measured")
def test_an_epoch_that_was_cut_short_does_not_count(tmp_path: Path) -> None:
    steps = {"epochs": None, "steps": 7 * STEPS}
    config = write_config(tmp_path, train=steps, early_stopping={"patience": 3})
    straight = train(config, tmp_path / "straight")
    folder = train(config, tmp_path / "run", f"train.steps={3 * STEPS + 5}")
    resume(folder.path, f"train.steps={7 * STEPS}")
    assert same_files(folder, straight)


def test_without_a_validation_split_it_says_where(tmp_path: Path) -> None:
    config = write_config(tmp_path, data={"validation": 0}, early_stopping={"metric": "validation_accuracy"})
    line = 1 + config.read_text().splitlines().index("  metric: validation_accuracy")
    message = rf"digits\.yaml:{line}:11: early_stopping watches validation_accuracy, and there is no validation split"
    with pytest.raises(ConfigError, match=message):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    train(config, tmp_path / "run", "early_stopping.metric=train_loss", "train.epochs=1")


def test_another_metric_is_refused_with_its_place(tmp_path: Path) -> None:
    config = write_config(tmp_path, early_stopping={"metric": "validation_los"})
    with pytest.raises(
        ConfigError, match=r"yaml:\d+:11: early_stopping.metric must be .*; did you mean validation_loss"
    ):
        load_config(config)


@pytest.mark.parametrize("state", [{}, {"best": 0.5, "best_epoch": 1.5, "since": 0.0}])
def test_a_state_that_makes_no_sense(state: dict[str, float | None]) -> None:
    with pytest.raises(CheckpointError, match="early_stopping"):
        EarlyStopping(EarlyStoppingSettings()).load_state(state)
