"""`mixup`: each image blended with another one, and its label too."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.augmentations.base import Augmentation, Draws, Pixels, whole
from cnntrain.settings import Settings

_TRIES = 64  # of Jöhnk's method; at alpha 2 all fail once in 100,000 images, at alpha 1 never in practice


class MixupSettings(Settings):
    """`mixup: 0.2`; it must be the last augmentation."""

    main = "alpha"
    alpha: Annotated[float, Field(gt=0, le=2)] = Field(
        description="The weight of the image itself is drawn from Beta(alpha, alpha): small values hardly mix."
    )


class Mixup(Augmentation):
    """x = w x_i + (1 - w) x_j, with the loss w L(label_i) + (1 - w) L(label_j) (Zhang et al. 2018, arXiv:1710.09412).

    Weight and partner are drawn per image, the partner from the whole training split, so that they do not depend on the
    batch. The partner is augmented as it is in the same epoch.
    """

    name = "mixup"
    Settings = MixupSettings

    def partners(self, draws: Draws, images: int) -> NDArray[np.int64]:
        """Which image of the training split each is mixed with."""
        return whole(draws.uniform(1 + 2 * _TRIES)[:, 0], images)

    def weights(self, draws: Draws) -> NDArray[np.float32]:
        """The weight of each image itself: Beta(alpha, alpha) by Jöhnk's method (1964), in logarithms."""
        uniform = 1 - draws.uniform(1 + 2 * _TRIES)[:, 1:]  # above 0
        x, y = np.log(uniform[:, :_TRIES]) / self.settings.alpha, np.log(uniform[:, _TRIES:]) / self.settings.alpha
        both = np.logaddexp(x, y)
        first = (both <= 0).argmax(axis=1)[:, None]
        return np.exp(np.take_along_axis(x - both, first, axis=1))[:, 0].astype(np.float32)

    def apply(self, pixels: Pixels, draws: Draws) -> None:
        """Mix the first half of the images with the second: their partners."""
        self.kernels.mix(pixels.now, self.weights(draws), int(np.prod(self.images.shape)))
