"""What a config may say of a training's course: when it ends early, and which checkpoints are kept."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from cnntrain.settings import NonNegativeFloat, NonNegativeInt, PositiveInt, Settings

WatchedMetric = Literal["validation_loss", "validation_accuracy", "train_loss", "train_accuracy"]


class EarlyStoppingSettings(Settings):
    """Ends a training that no longer gets better. The best epoch's checkpoint is there all the same."""

    patience: PositiveInt = Field(
        5, description="So many whole epochs in a row without improvement end the training, as in Keras."
    )
    metric: WatchedMetric = Field(
        "validation_loss",
        description="What must improve: a loss falls, an accuracy rises. The validation metrics need a validation "
        "split.",
    )
    min_delta: NonNegativeFloat = Field(
        0.0, description="An epoch is better only if it is by more than this; accuracies are shares of 1."
    )

    @property
    def needs_validation(self) -> bool:
        """The metric is one of the validation split."""
        return self.metric.startswith("validation")


_EVERY = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(step|epoch|second|minute|hour)s?\s*")
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}


def _interval(text: str) -> str:
    found = _EVERY.fullmatch(text)
    if found is None or not float(found[1]) or (found[2] == "step" and "." in found[1]):
        raise ValueError("must be a number with its unit: 500 steps, 1 epoch, 10 minutes (or seconds, hours)")
    return text


class CheckpointSettings(Settings):
    """Keeps checkpoints on the way (`step-000500.safetensors`), from which a run goes on to the bit."""

    every: Annotated[str, AfterValidator(_interval)] = Field(
        description="How often: `500 steps`, `1 epoch`, `10 minutes` (also seconds and hours; epochs and times may be "
        "fractions)."
    )
    keep: PositiveInt | None = Field(
        3, description="How many of them stay, the newest; null keeps all. The best and the last epoch's stay anyway."
    )

    def steps(self, steps_per_epoch: int) -> int | None:
        """Return how many steps lie between two; None if time decides."""
        number, unit = self._parts
        if unit == "step":
            return int(number)
        return max(round(number * steps_per_epoch), 1) if unit == "epoch" else None

    @property
    def seconds(self) -> float:
        """How much time lies between two; infinity if steps decide."""
        number, unit = self._parts
        return number * _SECONDS[unit] if unit in _SECONDS else math.inf

    @property
    def _parts(self) -> tuple[float, str]:
        found = _EVERY.fullmatch(self.every)
        assert found is not None  # validated
        return float(found[1]), found[2]


class TestTimeSettings(Settings):
    """Several views of each image are shown to the trained network, and its outputs averaged, before the softmax.

    Wherever it is used or measured: `eval`, `predict`, `report`, scripts, and validation in training. Training steps,
    `explain`, `prove` and files of `export` see each image once.
    """

    __test__ = False  # no test, whatever pytest thinks of the name

    flip: bool = Field(False, description="The image and its mirror image, with the same weight.")
    shift: NonNegativeInt = Field(
        0,
        description="Beside the image, with half of the weight, it moved by so many pixels up and left, and down and "
        "right, with a quarter each; what comes in is reflected (Jordan 2024).",
    )

    @model_validator(mode="after")
    def _some_views(self) -> TestTimeSettings:
        if not self.flip and not self.shift:
            raise ValueError("needs flip: true, a shift greater than 0, or both; without any, leave it out")
        return self


class InitSettings(Settings):
    """Begins with the tensors of another network instead of random ones.

    Those that fit by name and shape are taken, weights and running statistics alike; the others keep the values that
    their initialisers draw, and are listed.
    """

    source: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")] = Field(
        alias="from",
        description="A run folder (its best epoch is taken), a checkpoint, or a safetensors file with tensors of the "
        "same names; relative to the working directory or, where that does not have it, to the config.",
    )
    skip: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list,
        description="Layers (`8.dense`) or tensors (`8.dense.bias`) that begin with random values all the same.",
    )
