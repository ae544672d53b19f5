"""What an augmentation is: a change of training images in pixel space, drawn anew for every image in every epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.randomness import key_of, uniforms
from cnntrain.settings import Settings


@dataclass(frozen=True)
class Images:
    """What an augmentation knows of the images.

    Attributes
    ----------
    shape : tuple of int
        (channels, rows, columns).
    largest : float
        White: 255 for uint8 images, 1 for float images.
    limits : tuple of float
        Values stay within these: 0 to 255 for uint8 images; unlimited for float images, whose scale is their own.
    """

    shape: tuple[int, int, int]
    largest: float
    limits: tuple[float, float]

    @classmethod
    def of(cls, shape: tuple[int, ...], dtype: np.dtype) -> Images:
        """Describe images of a shape (C, H, W) and type."""
        channels, rows, columns = shape
        if dtype == np.uint8:
            return cls((channels, rows, columns), 255.0, (0.0, 255.0))
        return cls((channels, rows, columns), 1.0, (-np.inf, np.inf))


@dataclass
class Pixels:
    """The images of a batch, flat float32 (image, channel, row, column), and as much room to write into.

    Attributes
    ----------
    now : ndarray
        The images as they are now: change them in place, or write `room` and call `swap`.
    count : int
        Number of images.
    """

    now: NDArray[np.float32]
    room: NDArray[np.float32]
    count: int

    def swap(self) -> None:
        """Make what was written into `room` the images."""
        self.now, self.room = self.room, self.now


@dataclass(frozen=True)
class Draws:
    """The random numbers of one augmentation, for the images of a batch.

    They depend on the seed, the augmentation's place in the list, the epoch and the image's index in the training
    split: not on the batch, the number of threads, or where training was resumed.
    """

    seed: int
    place: int
    epoch: int
    indices: NDArray[np.int64]

    def uniform(self, count: int = 1, *, every_epoch: bool = False) -> NDArray[np.float64]:
        """Return numbers from 0 to below 1, (images, count); with `every_epoch` the same ones in every epoch."""
        epoch = 0 if every_epoch else self.epoch + 1
        return uniforms(key_of(self.seed, "augmentation", self.place, epoch), self.indices, count)


class Augmentation(ABC):
    """One entry of `data.augment`.

    `self.kernels` is `cnntrain.kernels.augmentation`: imported here and not by the file, since reading a config's
    settings does without Numba.

    Parameters
    ----------
    settings : Settings
        Of the class's own `Settings`.
    images : Images

    Raises
    ------
    ConfigError
        The settings do not fit the images.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: Any, images: Images) -> None:
        from cnntrain.kernels import augmentation

        self.settings, self.images, self.kernels = settings, images, augmentation

    @abstractmethod
    def apply(self, pixels: Pixels, draws: Draws) -> None:
        """Change the images."""

    def fill(self, level: float) -> np.float32:
        """The value of a grey level (0 black, 1 white)."""
        return np.float32(level * self.images.largest)


Fill = Annotated[float, Field(ge=0, le=1, description="Grey level of what comes in from outside: 0 black, 1 white.")]


def whole(uniform: NDArray[np.float64], choices: int) -> NDArray[np.int64]:
    """Make whole numbers 0 ... choices - 1 of numbers from 0 to below 1."""
    return np.floor(uniform * choices).astype(np.int64)
