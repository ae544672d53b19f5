"""`horizontal_flip`: left and right exchanged."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from cnntrain.augmentations.base import Augmentation, Draws, Pixels
from cnntrain.settings import Settings


class HorizontalFlipSettings(Settings):
    """`horizontal_flip`, or `horizontal_flip: alternating`."""

    main = "mode"
    mode: Literal["random", "alternating"] = Field(
        "random",
        description="random: each image with `probability`, anew in every epoch. alternating: half of the images in "
        "the first epoch, the other half in the second, and so on (Jordan 2024): two epochs show an image both ways.",
    )
    probability: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="How often an image is flipped (mode random), or flipped first (mode alternating)."
    )


class HorizontalFlip(Augmentation):
    """Exchanges left and right of some of the images."""

    name = "horizontal_flip"
    Settings = HorizontalFlipSettings

    def apply(self, pixels: Pixels, draws: Draws) -> None:
        alternating = self.settings.mode == "alternating"
        chosen = draws.uniform(every_epoch=alternating)[:, 0] < self.settings.probability
        if alternating and draws.epoch % 2:
            chosen = ~chosen
        self.kernels.flip_columns(pixels.now, chosen.astype(np.int64), self.images.shape)
