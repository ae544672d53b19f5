"""`cutout`: a square of the image blotted out."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from cnntrain.augmentations.base import Augmentation, Draws, Fill, Pixels, whole
from cnntrain.settings import PositivePair, Settings


class CutoutSettings(Settings):
    """`cutout: 8`."""

    main = "size"
    size: PositivePair = Field(description="Rows and columns of the patch: a number, or [rows, columns].")
    fill: Fill = 0.0


class Cutout(Augmentation):
    """Blots out one patch per image (DeVries and Taylor 2017, arXiv:1708.04552).

    Its centre is uniform over the image's pixels, so a patch may lie partly outside.
    """

    name = "cutout"
    Settings = CutoutSettings

    def apply(self, pixels: Pixels, draws: Draws) -> None:
        uniform, boxes = draws.uniform(2), np.empty((pixels.count, 4), np.int64)
        for axis in (0, 1):
            length, size = self.images.shape[1 + axis], self.settings.size[axis]
            start = whole(uniform[:, axis], length) - size // 2
            boxes[:, 2 * axis] = np.clip(start, 0, length)
            boxes[:, 2 * axis + 1] = np.clip(start + size, 0, length)
        self.kernels.erase(pixels.now, boxes.reshape(-1), self.fill(self.settings.fill), self.images.shape)
