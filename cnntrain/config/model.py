"""The config as typed, validated objects."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from cnntrain.config.source import Source
from cnntrain.data import DataSettings
from cnntrain.layers.registry import LayerChoice
from cnntrain.losses import LOSSES
from cnntrain.optimizers import OPTIMIZERS
from cnntrain.schedules import SCHEDULES
from cnntrain.settings import Choice, ChoiceFrom, NonNegativeFloat, NonNegativeInt, PositiveInt, Settings

MAX_NAME = 100


def safe_name(text: str) -> str:
    """Make a run's name of any text: what cannot be in a folder's name becomes "-"."""
    name = "".join(char if char.isalnum() or char in "._-" else "-" for char in text)
    return name.lstrip("._-")[:MAX_NAME] or "unnamed"


def _check_name(name: str) -> str:
    if name != safe_name(name):
        raise ValueError(
            f"must be usable as a folder's name: letters, digits, '.', '_' and '-', "
            f"beginning with a letter or digit, at most {MAX_NAME} characters"
        )
    return name


ExtensionFile = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]


class TrainSettings(Settings):
    """How long, and with how many images per step."""

    epochs: PositiveInt | None = None
    steps: PositiveInt | None = None
    batch_size: PositiveInt = 64

    @model_validator(mode="before")
    @classmethod
    def _five_epochs_unless_said(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("epochs") is None and values.get("steps") is None:
            return {**values, "epochs": 5}
        return values

    @model_validator(mode="after")
    def _epochs_or_steps(self) -> TrainSettings:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("takes either epochs or steps, not both (null unsets one)")
        return self


class ExpectSettings(Settings):
    """What a recipe promises."""

    test_accuracy: Annotated[float, Field(gt=0, le=1)]
    tolerance: NonNegativeFloat = 0.002
    source: str = ""


class Config(Settings):
    """Everything that a YAML file says, with all defaults; made by `load_config`."""

    name: Annotated[str, AfterValidator(_check_name)]
    seed: NonNegativeInt = Field(
        1, description="Of everything random: initial values, validation split, order of the images, augmentation."
    )
    extensions: list[ExtensionFile] = Field(
        default_factory=list,
        description="Python files with layers of your own, relative to the working directory. They run only with "
        "--allow-extensions.",
    )
    data: DataSettings
    network: Annotated[list[LayerChoice], Field(min_length=1)]
    loss: Annotated[Choice, ChoiceFrom("loss", lambda: LOSSES)] = Field("cross_entropy", validate_default=True)
    optimizer: Annotated[Choice, ChoiceFrom("optimizer", lambda: OPTIMIZERS)]
    schedule: Annotated[Choice, ChoiceFrom("schedule", lambda: SCHEDULES)] = Field("constant", validate_default=True)
    train: TrainSettings = Field({}, validate_default=True)
    expect: ExpectSettings | None = None

    _source: Source | None = PrivateAttr(None)
