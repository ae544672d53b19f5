from __future__ import annotations

import pytest

from cnntrain.errors import CheckpointError
from cnntrain.schedules.plateau import Plateau, PlateauSettings
from tests.schedules.observed import Observed


def plateau(**settings: object) -> Plateau:
    return Plateau(PlateauSettings.model_validate(settings), total_steps=1000, steps_per_epoch=100)


def factors(tested: Plateau, *losses: float) -> list[float]:
    seen = []
    for loss in losses:
        tested.observe(Observed(loss))
        seen.append(tested.factor(500))
    return seen


def test_patience_is_the_number_of_bad_epochs_put_up_with() -> None:
    assert factors(plateau(patience=2, gamma=0.5), 1, 1, 1, 1, 1, 1, 1) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    assert factors(plateau(patience=0, gamma=0.5), 1, 1, 0.5, 0.6, 0.4) == [1, 0.5, 0.5, 0.25, 0.25]


def test_improvements_below_the_threshold_do_not_count() -> None:
    assert factors(plateau(patience=0, gamma=0.5, threshold=0.1), 1, 0.91, 0.89) == [1, 0.5, 0.5]
    absolute = plateau(patience=0, gamma=0.5, threshold=0.2, threshold_mode="absolute")
    assert factors(absolute, 1, 0.81, 0.79) == [1, 0.5, 0.5]


def test_the_factor_has_a_floor() -> None:
    assert factors(plateau(patience=0, gamma=0.5, min_factor=0.3), 1, 1, 1, 1) == [1, 0.5, 0.3, 0.3]


def test_without_a_validation_split_training_is_watched() -> None:
    tested = plateau(patience=0, gamma=0.5)
    for loss in (1.0, 1.0):
        tested.observe(Observed(None, None, train_loss=loss))
    assert tested.factor(500) == 0.5
    tested = plateau(patience=0, gamma=0.5, metric="accuracy")
    for accuracy in (0.5, 0.5):
        tested.observe(Observed(None, None, train_accuracy=accuracy))
    assert tested.factor(500) == 0.5


def test_the_warm_up_is_not_lowered() -> None:
    tested = plateau(patience=0, gamma=0.5, warmup_epochs=2)
    assert factors(tested, 1, 1) == [1, 0.5]
    assert tested.factor(99) == 0.5
    assert tested.factor(199) == 1.0
    assert tested.factor(200) == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factor": 0.0}, "the state of the schedule plateau makes no sense"),
        ({"factor": 2.0}, "makes no sense"),
        ({"factor": None}, "makes no sense"),
        ({"bad_epochs": -1}, "makes no sense"),
        ({"cooldown": 1.5}, "makes no sense"),
        ({"other": 1}, "the state does not fit the schedule plateau: other"),
    ],
)
def test_a_state_that_makes_no_sense(change: dict[str, float | None], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        plateau().load_state(plateau().state() | change)
