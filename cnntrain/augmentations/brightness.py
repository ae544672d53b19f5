"""`brightness`: all pixels times a factor."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from cnntrain.augmentations.base import Augmentation, Draws, Pixels
from cnntrain.settings import Settings


class BrightnessSettings(Settings):
    """`brightness: 0.2`."""

    main = "amount"
    amount: Annotated[float, Field(gt=0, le=1)] = Field(
        description="The factor is uniform in 1 - amount ... 1 + amount; pixels of uint8 images stay within 0 to 255."
    )


class Brightness(Augmentation):
    """Multiplies each image by a factor (as torchvision's ColorJitter(brightness), without rounding)."""

    name = "brightness"
    Settings = BrightnessSettings

    def apply(self, pixels: Pixels, draws: Draws) -> None:
        factors = 1 + self.settings.amount * (2 * draws.uniform()[:, 0] - 1)
        weights, limits = np.zeros(self.images.shape[0]), np.array(self.images.limits, np.float32)
        self.kernels.stretch(pixels.now, factors.astype(np.float32), weights, limits, self.images.shape)
