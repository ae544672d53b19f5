"""Drops when training no longer gets better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from cnntrain.errors import CheckpointError
from cnntrain.schedules.base import EpochMetrics, Schedule, ScheduleSettings
from cnntrain.settings import NonNegativeFloat, NonNegativeInt


class PlateauSettings(ScheduleSettings):
    """What is watched, when a drop is due, and how large it is; defaults as in PyTorch."""

    metric: Literal["loss", "accuracy"] = Field(
        "loss", description="What should get better: of the validation split, or of training if there is none."
    )
    gamma: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="Factor of a drop.")
    patience: NonNegativeInt = Field(
        10, description="Epochs without improvement that are put up with; the next one brings a drop."
    )
    threshold: NonNegativeFloat = Field(1e-4, description="Improvements over the best must be larger than this.")
    threshold_mode: Literal["relative", "absolute"] = Field(
        "relative", description="Whether the threshold is a share of the best value or a difference."
    )
    cooldown: NonNegativeInt = Field(0, description="Epochs after a drop that do not count towards the next.")
    min_factor: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="The factor on the learning rate never gets below this."
    )


class Plateau(Schedule):
    """A drop after more than `patience` epochs without improvement: PyTorch's ReduceLROnPlateau."""

    name = "plateau"
    Settings = PlateauSettings

    def __init__(self, settings: Any, total_steps: int, steps_per_epoch: int) -> None:
        super().__init__(settings, total_steps, steps_per_epoch)
        self._factor = 1.0
        self._best: float | None = None
        self._bad_epochs = 0
        self._cooldown = 0

    def decay(self, step: int) -> float:
        return self._factor

    def observe(self, metrics: EpochMetrics) -> None:
        value = self._watched(metrics)
        if self._best is None or self._is_better(value, self._best):
            self._best, self._bad_epochs = value, 0
        else:
            self._bad_epochs += 1
        if self._cooldown:
            self._cooldown -= 1
            self._bad_epochs = 0
        if self._bad_epochs > self.settings.patience:
            self._factor = max(self._factor * self.settings.gamma, self.settings.min_factor)
            self._bad_epochs, self._cooldown = 0, self.settings.cooldown

    def _watched(self, metrics: EpochMetrics) -> float:
        of_validation, of_training = metrics.validation_accuracy, metrics.train_accuracy
        if self.settings.metric == "loss":
            of_validation, of_training = metrics.validation_loss, metrics.train_loss
        return of_training if of_validation is None else of_validation

    def _is_better(self, value: float, best: float) -> bool:
        step = self.settings.threshold * (best if self.settings.threshold_mode == "relative" else 1.0)
        return value < best - step if self.settings.metric == "loss" else value > best + step

    def state(self) -> dict[str, float | None]:
        return {
            "factor": self._factor, "best": self._best, "bad_epochs": self._bad_epochs, "cooldown": self._cooldown
        }  # fmt: skip

    def load_state(self, state: Mapping[str, float | None]) -> None:
        super().load_state(state)
        best = state["best"]
        factor, bad_epochs, cooldown = (state[key] or 0.0 for key in ("factor", "bad_epochs", "cooldown"))
        counts_are_whole = all(count >= 0 and count == math.floor(count) for count in (bad_epochs, cooldown))
        if not (0 < factor <= 1 and counts_are_whole):
            raise CheckpointError(f"the state of the schedule {self.name} makes no sense: {dict(state)}")
        self._factor, self._best, self._bad_epochs, self._cooldown = factor, best, int(bad_epochs), int(cooldown)
