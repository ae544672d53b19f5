"""`random_crop`: a window of the image's own size, cut at random from the padded image."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from cnntrain.augmentations.base import Augmentation, Draws, Images, Pixels, whole
from cnntrain.errors import ConfigError
from cnntrain.settings import NonNegativePair, Settings


class RandomCropSettings(Settings):
    """`random_crop: 4`."""

    main = "padding"
    padding: NonNegativePair = Field(
        description="Pixels added on each side before cutting: a number, or [rows, columns]."
    )
    mode: Literal["zero", "reflect"] = Field(
        "zero", description="What is added: zero (black), or the image reflected at its edge (the edge not repeated)."
    )


class RandomCrop(Augmentation):
    """Pads, then cuts a window of the old size; each of its positions is equally likely."""

    name = "random_crop"
    Settings = RandomCropSettings

    def __init__(self, settings: RandomCropSettings, images: Images) -> None:
        super().__init__(settings, images)
        self._outside = np.int64(self.kernels.REFLECT if settings.mode == "reflect" else self.kernels.CONSTANT)
        _, rows, columns = images.shape
        if settings.mode == "reflect" and (settings.padding[0] >= rows or settings.padding[1] >= columns):
            padding = "x".join(map(str, settings.padding))
            raise ConfigError(
                f"data.augment: random_crop: a padding of {padding} cannot reflect images of {rows}x{columns}: it must "
                "be smaller than the image"
            )

    def apply(self, pixels: Pixels, draws: Draws) -> None:
        uniform = draws.uniform(2)
        down, right = (whole(uniform[:, axis], 2 * self.settings.padding[axis] + 1) for axis in (0, 1))
        down -= self.settings.padding[0]
        right -= self.settings.padding[1]
        self.kernels.translate(pixels.now, pixels.room, down, right, self._outside, self.fill(0), self.images.shape)
        pixels.swap()
