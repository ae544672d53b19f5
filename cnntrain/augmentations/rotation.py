"""`rotation`: the image turned about its centre."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from cnntrain.augmentations.base import Augmentation, Draws, Fill, Pixels
from cnntrain.augmentations.matrices import about_centre
from cnntrain.settings import Settings


class RotationSettings(Settings):
    """`rotation: 15`."""

    main = "degrees"
    degrees: Annotated[float, Field(gt=0, le=180)] = Field(
        description="The farthest an image is turned, in degrees, either way."
    )
    fill: Fill = 0.0


class Rotation(Augmentation):
    """Turns each image by an angle that is uniform in -degrees ... degrees; positive turns counter-clockwise."""

    name = "rotation"
    Settings = RotationSettings

    def apply(self, pixels: Pixels, draws: Draws) -> None:
        angle = np.deg2rad((2 * draws.uniform()[:, 0] - 1) * self.settings.degrees)
        cosine, sine = np.cos(angle), np.sin(angle)
        matrices = about_centre(cosine, sine, -sine, cosine, self.images.shape)
        self.kernels.warp(pixels.now, pixels.room, matrices, self.fill(self.settings.fill), self.images.shape)
        pixels.swap()
