"""`scale`: the image made larger or smaller about its centre."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from cnntrain.augmentations.base import Augmentation, Draws, Fill, Pixels
from cnntrain.augmentations.matrices import about_centre
from cnntrain.settings import PositiveFloat, Settings


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _ascending(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise PydanticCustomError("factors", "must be the smallest and the largest factor, in this order")
    return value


class ScaleSettings(Settings):
    """`scale: [0.9, 1.1]`."""

    main = "factors"
    factors: Annotated[tuple[PositiveFloat, PositiveFloat], BeforeValidator(_pair), AfterValidator(_ascending)] = Field(
        description="The smallest and the largest factor: [0.9, 1.1]; above 1 the picture grows."
    )
    fill: Fill = 0.0


class Scale(Augmentation):
    """Scales each image by a factor uniform between two bounds; its size stays, so its edge is cut or filled."""

    name = "scale"
    Settings = ScaleSettings

    def apply(self, pixels: Pixels, draws: Draws) -> None:
        smallest, largest = self.settings.factors
        inverse = 1 / (smallest + (largest - smallest) * draws.uniform()[:, 0])
        zero = np.zeros_like(inverse)
        matrices = about_centre(inverse, zero, zero, inverse, self.images.shape)
        self.kernels.warp(pixels.now, pixels.room, matrices, self.fill(self.settings.fill), self.images.shape)
        pixels.swap()
