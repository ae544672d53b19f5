"""The config as typed, validated objects."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from cnntrain.config.course import CheckpointSettings, EarlyStoppingSettings, InitSettings
from cnntrain.config.document import Document
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

    epochs: PositiveInt | None = Field(
        None, description="Passes over the training images; 5 if neither epochs nor steps are given."
    )
    steps: PositiveInt | None = Field(None, description="Updates of the weights, in place of epochs.")
    batch_size: PositiveInt = Field(64, description="Images per update.")
    shards: PositiveInt = Field(
        1,
        description="Parts into which each batch is divided, as equal as they can be; their gradients are added in a "
        "fixed tree. One process computes them one after the other, with the memory of one (gradient accumulation); up "
        "to so many processes share them (`mpiexec -n 4 cnntrain train CONFIG`), with the same bits for any number. "
        "`batch_norm2d` takes the statistics of a part.",
    )
    log: list[Literal["csv", "jsonl", "tensorboard"]] = Field(
        ["csv"],
        description="What is written beside `log.txt`. csv: `metrics.csv`, a row per epoch, which is always there. "
        "jsonl: `log.jsonl`, a line per step and per epoch. tensorboard: files for TensorBoard, in `tensorboard/`; "
        "needs `cnntrain[tensorboard]`.",
    )
    convolution: Literal["fastest", "direct"] = Field(
        "fastest",
        description="direct: without Winograd's algorithm, which is faster for many 3x3 and 5x5 filters, but lets a "
        "very large pixel, infinity or NaN disturb outputs close by that do not see it.",
    )

    @property
    def images_at_once(self) -> int:
        """Images that pass through the network together: those of the largest shard."""
        return -(-self.batch_size // self.shards)

    @property
    def direct(self) -> bool:
        """Convolutions are computed directly, whatever it costs."""
        return self.convolution == "direct"

    @model_validator(mode="before")
    @classmethod
    def _five_epochs_unless_said(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("epochs") is None and values.get("steps") is None:
            return {**values, "epochs": 5}
        return values

    @model_validator(mode="after")
    def _an_image_for_each_shard(self) -> TrainSettings:
        if self.shards > self.batch_size:
            raise ValueError(
                f"shards: {self.shards} is more than batch_size: {self.batch_size}; a shard needs an image"
            )
        return self

    @model_validator(mode="after")
    def _epochs_or_steps(self) -> TrainSettings:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("takes either epochs or steps, not both (null unsets one)")
        return self


class ExpectSettings(Settings):
    """What a recipe promises."""

    test_accuracy: Annotated[float, Field(gt=0, le=1)] = Field(description="Share of the test images that is right.")
    tolerance: NonNegativeFloat = Field(0.002, description="How much less still keeps the promise.")
    source: str = Field("", description="Where the number comes from.")


class Config(Settings):
    """Everything that a YAML file says, with all defaults; made by `load_config`."""

    name: Annotated[str, AfterValidator(_check_name)] = Field(
        description="Of the run folder, runs/NAME-1, and of reports; letters, digits, '.', '_' and '-'."
    )
    seed: NonNegativeInt = Field(
        1, description="Of everything random: initial values, validation split, order of the images, augmentation."
    )
    data: DataSettings = Field(description="Which images, and what happens to them before they enter the network.")
    network: Annotated[list[LayerChoice], Field(min_length=1)] = Field(
        description="The layers, in order; the last must give as many values as there are classes."
    )
    loss: Annotated[Choice, ChoiceFrom("loss", lambda: LOSSES)] = Field(
        "cross_entropy", validate_default=True, description="What training makes small."
    )
    optimizer: Annotated[Choice, ChoiceFrom("optimizer", lambda: OPTIMIZERS)] = Field(
        description="How the weights are updated."
    )
    schedule: Annotated[Choice, ChoiceFrom("schedule", lambda: SCHEDULES)] = Field(
        "constant", validate_default=True, description="Factor on the learning rate as training goes on."
    )
    train: TrainSettings = Field({}, validate_default=True, description="How long, and in what batches.")
    init: InitSettings | None = Field(None, description="Another network whose weights this one begins with.")
    early_stopping: EarlyStoppingSettings | None = Field(
        None, description="Ends the training when it no longer gets better."
    )
    checkpoint: CheckpointSettings | None = Field(
        None, description="Checkpoints to keep on the way, beside those of the best and the last epoch."
    )
    expect: ExpectSettings | None = Field(None, description="What the recipe promises; checked by `cnntrain eval`.")
    extensions: list[ExtensionFile] = Field(
        default_factory=list,
        description="Python files with layers of your own, relative to the working directory or, if that does not have "
        "them, to the config's folder. They run only with --allow-extensions.",
    )

    _document: Document | None = PrivateAttr(None)
