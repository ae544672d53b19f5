"""`contrast`: pixels moved away from the image's mean grey, or towards it."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from cnntrain.augmentations.base import Augmentation, Draws, Pixels
from cnntrain.settings import Settings

LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601, with the digits that torchvision uses


class ContrastSettings(Settings):
    """`contrast: 0.2`."""

    main = "amount"
    amount: Annotated[float, Field(gt=0, le=1)] = Field(
        description="The factor is uniform in 1 - amount ... 1 + amount; pixels of uint8 images stay within 0 to 255."
    )


class Contrast(Augmentation):
    """Multiplies the distance from an image's mean grey (as torchvision's ColorJitter(contrast), without rounding)."""

    name = "contrast"
    Settings = ContrastSettings

    def apply(self, pixels: Pixels, draws: Draws) -> None:
        channels = self.images.shape[0]
        factors = 1 + self.settings.amount * (2 * draws.uniform()[:, 0] - 1)
        weights = np.array(LUMA) if channels == 3 else np.full(channels, 1 / channels)
        limits = np.array(self.images.limits, np.float32)
        self.kernels.stretch(pixels.now, factors.astype(np.float32), weights, limits, self.images.shape)
