from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain.config import load_config
from cnntrain.errors import ArgumentError, ConfigError
from cnntrain.evaluation.assessment import assess
from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.runs.reporter import Reporter
from cnntrain.training.automatic import start_or_resume
from cnntrain.training.session import resume_run, start_run
from cnntrain.training.setup import build_training
from tests.training.small import digits, resume, same_files, train, write_config, write_data
from tests.training.test_checkpoints_inside import stopped_at


def config_with(folder: Path, weights: Any, **changes: Any) -> Path:
    return write_config(folder, loss={"cross_entropy": {"class_weights": weights}}, **changes)


def resolved(config: Path) -> list[float]:
    found: list[float] = build_training(load_config(config), lambda _: None).config.loss.settings.class_weights
    return found


def test_balanced_is_by_the_counts_of_the_training_split(tmp_path: Path) -> None:
    """n / (classes * count), as scikit-learn's compute_class_weight has it, counted one by one."""
    config = config_with(tmp_path, "balanced", data={"validation": 0})
    labels = digits()["y_train"].tolist()
    expected = [len(labels) / (10 * labels.count(label)) for label in range(10)]
    assert resolved(config) == expected
    assert sum(expected[label] for label in labels) == pytest.approx(len(labels))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_class_without_images_weighs_one(tmp_path: Path) -> None:
    config = config_with(tmp_path, "balanced", data={"class_names": list("abcdefghij"), "validation": 0})
    write_data(tmp_path, digits() | {"y_train": np.minimum(digits()["y_train"], 8)})
    assert resolved(config)[9] == 1.0


def test_by_name(tmp_path: Path) -> None:
    assert resolved(config_with(tmp_path, {"3": 2.5, "0": 0.0})) == [0.0, 1, 1, 2.5, 1, 1, 1, 1, 1, 1]


def test_a_training_with_words_is_that_with_their_numbers(tmp_path: Path) -> None:
    words = train(config_with(tmp_path, {"3": 2.0}), tmp_path / "words")
    numbers = train(config_with(tmp_path, [1.0, 1, 1, 2, 1, 1, 1, 1, 1, 1]), tmp_path / "numbers")
    assert same_files(words, numbers)
    plain = train(write_config(tmp_path), tmp_path / "plain")
    one, other = (read_checkpoint(folder.last).network["3.dense.bias"].tobytes() for folder in (words, plain))
    assert one != other


def test_going_on_and_evaluating_give_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_with(tmp_path, "balanced")
    expected = train(config, tmp_path / "straight")
    with monkeypatch.context() as patch:
        stopped_at(patch, 5, signal.SIGTERM)
        folder, _ = start_run(load_config(config), Reporter(quiet=True), out=tmp_path / "run")
    with monkeypatch.context() as patch:
        stopped_at(patch, 5, signal.SIGTERM)
        start_or_resume(config, Reporter(quiet=True), out=folder.path)  # where the config still has the word
    resume(folder.path)
    assert same_files(folder, expected)
    own, given = (
        assess(folder.best, "test", config=chosen, warn=pytest.fail).evaluation.loss
        for chosen in (None, load_config(config))
    )
    assert own == given
    weights = np.array(load_config(folder.config).loss.settings.class_weights)
    assert len(set(weights)) > 1


def test_other_weights_are_another_config(tmp_path: Path) -> None:
    folder = train(config_with(tmp_path, "balanced", train={"epochs": 1}), tmp_path / "run")
    config = config_with(tmp_path, {"3": 2.0}, train={"epochs": 2})
    with pytest.raises(
        ArgumentError, match=r"Different now:\n  loss\.cross_entropy\.class_weights\.0: 1\.2\d+ -> 1\.0"
    ):
        resume_run(folder.path, Reporter(quiet=True), config_file=config)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"3": 2.0, "eleven": 1.0}, r'cross_entropy has a weight for "eleven", which is no class of the data'),
        ({str(digit): 0.0 for digit in range(10)}, "needs a class_weights entry greater than 0"),
    ],
)
def test_names_that_do_not_fit_the_data(tmp_path: Path, weights: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"digits\.yaml:\d+:\d+: .*{message}"):
        train(config_with(tmp_path, weights), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("equal", r"class_weights must be a list or a mapping \(key: value\) or 'balanced'; received \"equal\""),
        ({}, "class_weights names no class"),
        ({"3": -1.0}, r"class_weights\.3 must be at least 0"),
        ([0.0, 0.0], "needs a class_weights entry greater than 0"),
    ],
)
def test_weights_that_make_no_sense(tmp_path: Path, weights: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(config_with(tmp_path, weights))
