"""From stored pixels to the numbers that enter the network: normalised = (image / unit - mean) / std, per channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.settings import MeanStd
from cnntrain.errors import ConfigError

_CHUNK = 1 << 18  # values per pass of the sums: stays in the cache as float64


@dataclass(frozen=True)
class Normalization:
    """normalised = (image / unit - mean) / std.

    Attributes
    ----------
    mean, std : ndarray (C,)
        float32, on the scale of image / unit; every std is above 0.
    unit : float
        What one is in the stored images: 255 for uint8 images (unless they are used raw), 1 for float images.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    unit: float

    def affine(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (scale, shift), float32 (C,): normalised = image * scale + shift."""
        mean, std = self.mean.astype(np.float64), self.std.astype(np.float64)
        return (1 / (self.unit * std)).astype(np.float32), (-mean / std).astype(np.float32)


def normalization_of(normalize: str | MeanStd, images: NDArray[Any]) -> Normalization:
    """Make the `Normalization` that the settings ask for.

    Parameters
    ----------
    normalize : {"none", "unit", "standard"} or MeanStd
        none: pixels as stored. unit: uint8 pixels to 0..1; float pixels as stored. standard: zero mean and unit
        standard deviation in each channel of `images`. MeanStd: these values, on the scale of "unit".
    images : ndarray (N, C, H, W)
        uint8 or float32; the training split, after the validation split was held out.

    Raises
    ------
    ConfigError
        `MeanStd` has another number of values than the images have channels.
    """
    channels = images.shape[1]
    unit = 255.0 if images.dtype == np.uint8 and normalize != "none" else 1.0
    if isinstance(normalize, MeanStd):
        given = len(normalize.mean)
        if given not in (1, channels):
            raise ConfigError(
                f"data.normalize: mean and std have {given} values, but the images have {channels} "
                f"channel{'s' if channels > 1 else ''}; give one value per channel, or one for all"
            )
        mean, std = np.resize(normalize.mean, channels), np.resize(normalize.std, channels)
    elif normalize == "standard":
        mean, std = channel_statistics(images)
        mean, std = mean / unit, std / unit
    else:
        mean, std = np.zeros(channels), np.ones(channels)
    return Normalization(mean.astype(np.float32), std.astype(np.float32), unit)


def channel_statistics(images: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and (population) standard deviation of each channel, in two passes of float64 sums in a fixed order.

    A constant channel (deviation 0, or so small that 1 / std is no float32) gets a standard deviation of 1: it is
    centred and otherwise left alone.

    Parameters
    ----------
    images : ndarray (N, C, H, W)
        uint8 or float32.

    Returns
    -------
    mean, std : ndarray (C,)
        float64, on the scale of `images`.
    """
    count, channels = len(images) * images.shape[2] * images.shape[3], images.shape[1]
    step = max(1, _CHUNK // (images.shape[1] * images.shape[2] * images.shape[3]))
    chunks = [images[start : start + step] for start in range(0, len(images), step)]
    total, squares = np.zeros(channels), np.zeros(channels)
    for chunk in chunks:
        total += chunk.sum(axis=(0, 2, 3), dtype=np.float64)
    mean = total / count
    for chunk in chunks:
        centred = chunk.astype(np.float64)
        centred -= mean[:, None, None]
        squares += np.square(centred, out=centred).sum(axis=(0, 2, 3))
    std = np.sqrt(squares / count)
    return mean, np.where(std < np.finfo(np.float32).tiny, 1.0, std)
