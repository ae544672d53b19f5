"""What a config may say of a training's course: when it ends early, and which checkpoints are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cnntrain.settings import NonNegativeFloat, PositiveInt, Settings

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
