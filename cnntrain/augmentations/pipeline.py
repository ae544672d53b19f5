"""All augmentations of a config, one after the other, on a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.augmentations import AUGMENTATIONS
from cnntrain.augmentations.base import Draws, Images, Pixels
from cnntrain.augmentations.mixup import Mixup
from cnntrain.errors import ConfigError
from cnntrain.settings import Choice


@dataclass(frozen=True)
class Partners:
    """What images were mixed with.

    Attributes
    ----------
    indices : ndarray (n,)
        The other image of each, an index into the training split.
    weights : ndarray (n,)
        float32, 0 to 1: the share of the image itself.
    """

    indices: NDArray[np.int64]
    weights: NDArray[np.float32]


class Augmenter:
    """Changes training images as `data.augment` says.

    Parameters
    ----------
    choices : sequence of Choice
        The list of the config, applied in order.
    images : array or LazyImages (N, C, H, W)
        The training images; only their shape and type count here.
    seed : int
        The config's seed.
    batch_size : int
        The largest number of images in one batch.

    Raises
    ------
    ConfigError
        Settings do not fit the images, or mixup is not the last.
    """

    def __init__(self, choices: Sequence[Choice], images: Any, seed: int, batch_size: int) -> None:
        from cnntrain.kernels.augmentation import gather_pixels

        self._gather_pixels = gather_pixels
        described = Images.of(images.shape[1:], images.dtype)
        self._steps = [AUGMENTATIONS[choice.name](choice.settings, described) for choice in choices]
        self._seed, self._images, self._shape = seed, len(images), described.shape
        self._mixup: Mixup | None = None
        if self._steps and isinstance(self._steps[-1], Mixup):
            self._mixup = self._steps[-1]
            self._steps.pop()
        if any(isinstance(step, Mixup) for step in self._steps):
            raise ConfigError("data.augment: mixup must be the last augmentation, and only once")
        room = batch_size * (2 if self._mixup else 1) * int(np.prod(described.shape))
        self._buffers = np.empty(room, np.float32), np.empty(room, np.float32)

    def needed(self, indices: NDArray[np.int64], epoch: int) -> NDArray[np.int64]:
        """Return which images are needed to make the augmented ones: these, then those they are mixed with."""
        if self._mixup is None:
            return indices
        partners = self._mixup.partners(self._draws(len(self._steps), indices, epoch), self._images)
        return np.concatenate([indices, partners])

    def augment(
        self, images: NDArray[Any], rows: NDArray[np.int64], needed: NDArray[np.int64], epoch: int
    ) -> tuple[NDArray[np.float32], Partners | None]:
        """Make a batch.

        Parameters
        ----------
        images : ndarray
            uint8 or float32, C-contiguous.
        rows : ndarray (m,)
            Where the images are: images[rows[k]] is the one with index needed[k].
        needed : ndarray (m,)
            What the method `needed` returned: indices into the training split.
        epoch : int
            From 0.

        Returns
        -------
        pixels : ndarray (n, C, H, W)
            float32, on the scale of `images`; valid until the next call.
        partners : Partners or None
            What they were mixed with.
        """
        size, count = int(np.prod(self._shape)), len(needed)
        now, room = (buffer[: count * size] for buffer in self._buffers)
        self._gather_pixels(images.reshape(-1), rows, now, size)
        pixels = Pixels(now, room, count)
        for place, step in enumerate(self._steps):
            step.apply(pixels, self._draws(place, needed, epoch))
        partners = None
        if self._mixup is not None:
            count //= 2
            draws = self._draws(len(self._steps), needed[:count], epoch)
            self._mixup.apply(pixels, draws)
            partners = Partners(needed[count:], self._mixup.weights(draws))
        return pixels.now[: count * size].reshape(count, *self._shape), partners

    def warm_up(self, image_type: Any) -> None:
        """Compile or load from the cache every kernel that is needed, for images of this type."""
        zero = np.zeros(1, np.int64)
        needed = self.needed(zero, 0)
        self.augment(np.zeros((1, *self._shape), image_type), np.zeros_like(needed), needed, 0)

    def _draws(self, place: int, indices: NDArray[np.int64], epoch: int) -> Draws:
        return Draws(self._seed, place, epoch, indices)
