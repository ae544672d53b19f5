"""An augmentation: `negative`."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from cnntrain.augmentations.base import Augmentation, Draws, Pixels
from cnntrain.settings import Settings


class NegativeSettings(Settings):
    """`negative: 0.5`."""

    main = "probability"
    probability: Annotated[float, Field(ge=0, le=1)] = Field(0.5, description="How often an image is inverted.")


class Negative(Augmentation):
    """Inverts some of the images: black becomes white."""

    name = "negative"
    Settings = NegativeSettings

    def apply(self, pixels: Pixels, draws: Draws) -> None:
        chosen = draws.uniform()[:, 0] < self.settings.probability
        by_image = pixels.now.reshape(pixels.count, -1)
        by_image[chosen] = np.float32(self.images.largest) - by_image[chosen]
