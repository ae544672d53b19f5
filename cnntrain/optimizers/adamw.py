"""`adamw`: Adam whose decay does not pass through the running means (Loshchilov and Hutter 2019)."""

from __future__ import annotations

from pydantic import Field

from cnntrain.optimizers.adam import Adam, AdamSettings
from cnntrain.settings import NonNegativeFloat


class AdamWSettings(AdamSettings):
    """YAML keys of `adamw`; defaults as in PyTorch."""

    weight_decay: NonNegativeFloat = Field(
        1e-2, description="Decoupled decay: a step takes learning rate * weight_decay * weight off each weight."
    )
    l1_decay: NonNegativeFloat = Field(
        0.0, description="Decoupled L1 decay: a step takes learning rate * l1_decay off each weight's size."
    )


class AdamW(Adam):
    """Decay first, w -= rate (weight_decay w + l1_decay sign w); then a step of `adam` without decay."""

    name = "adamw"
    Settings = AdamWSettings
    decoupled = True
