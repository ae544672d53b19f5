"""What a schedule sees of an epoch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Observed:
    """Metrics of an epoch; the training's own are bad on purpose where a validation split exists."""

    validation_loss: float | None
    validation_accuracy: float | None = None
    train_loss: float = 1e9
    train_accuracy: float = 0.0
