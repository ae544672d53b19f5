"""From stored pixels to the numbers that enter the network: normalised = (image / unit - mean) / std."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.settings import MeanImage, MeanStd
from cnntrain.errors import ConfigError

_CHUNK = 1 << 18  # values per pass of the sums: stays in the cache as float64


@dataclass(frozen=True)
class Normalization:
    """normalised = (image / unit - mean) / std.

    Attributes
    ----------
    mean : ndarray (C,) or (C, H, W)
        float32, on the scale of image / unit: one value per channel, or a mean image.
    std : ndarray (C,)
        float32, on the scale of image / unit; every std is above 0.
    unit : float
        What one is in the stored images: 255 for uint8 images (unless they are used raw), 1 for float images.
    constant_channels : tuple of int
        Channels that were measured and have no deviation; their std is 1.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    unit: float
    constant_channels: tuple[int, ...] = ()

    def affine(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (scale, shift), float32: normalised = image * scale + shift; scale is (C,), shift is like `mean`."""
        return self._affine

    @cached_property
    def _affine(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        mean, std = self.mean.astype(np.float64), self.std.astype(np.float64)
        by_channel = std.reshape(-1, 1, 1) if mean.ndim == 3 else std
        return (1 / (self.unit * std)).astype(np.float32), (-mean / by_channel).astype(np.float32)

    def apply(self, images: NDArray[Any], dtype: type[np.floating[Any]]) -> NDArray[Any]:
        """Return images (N, C, H, W), as stored, normalised in `dtype`."""
        scale, shift = (values.astype(dtype) for values in self.affine())
        by_pixel = shift if shift.ndim == 3 else shift[:, None, None]
        return images.astype(dtype) * scale[:, None, None] + by_pixel


def normalization_of(normalize: str | MeanStd | MeanImage, images: Any) -> Normalization:
    """Make the `Normalization` that the settings ask for.

    Parameters
    ----------
    normalize : {"none", "unit", "standard"}, MeanStd or MeanImage
        none: pixels as stored. unit: uint8 pixels to 0..1; float pixels as stored. standard: zero mean and unit
        standard deviation in each channel of `images`. MeanStd: these values, on the scale of "unit". MeanImage: the
        mean of `images`, pixel by pixel.
    images : ndarray or LazyImages (N, C, H, W)
        uint8 or float32; the training split, after the validation split was held out.

    Raises
    ------
    ConfigError
        `MeanStd` has another number of values than the images have channels.
    """
    if isinstance(normalize, MeanImage):
        return _with_mean_image(images, normalize.mean_image.unit, normalize.mean_image.std)
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
        mean, deviation = channel_statistics(images)
        mean, std = mean / unit, divisible(deviation) / unit
        constant = tuple(np.flatnonzero(divisible(deviation) != deviation).tolist())
        return Normalization(mean.astype(np.float32), std.astype(np.float32), unit, constant)
    else:
        mean, std = np.zeros(channels), np.ones(channels)
    return Normalization(mean.astype(np.float32), std.astype(np.float32), unit)


def _with_mean_image(images: Any, to_unit: bool, divide: bool) -> Normalization:
    unit = 255.0 if images.dtype == np.uint8 and to_unit else 1.0
    mean = mean_image(images)
    std = divisible(_deviation(images, mean)) / unit if divide else np.ones(images.shape[1])
    return Normalization((mean / unit).astype(np.float32), std.astype(np.float32), unit)


def mean_image(images: Any) -> NDArray[np.float64]:
    """Mean over the images, (C, H, W), by float64 sums in a fixed order; on the scale of `images`."""
    total = np.zeros(images.shape[1:])
    for chunk in _chunks(images):
        total += chunk.sum(axis=0, dtype=np.float64)
    return total / len(images)


def channel_statistics(images: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and (population) standard deviation of each channel, by float64 sums in a fixed order.

    Bytes are counted (one pass, exact); float images take two passes.

    Parameters
    ----------
    images : ndarray or LazyImages (N, C, H, W)
        uint8 or float32.

    Returns
    -------
    mean, std : ndarray (C,)
        float64, on the scale of `images`.
    """
    count, channels = len(images) * images.shape[2] * images.shape[3], images.shape[1]
    if images.dtype == np.uint8:
        values, histogram = np.arange(256), byte_counts(images)
        mean = histogram @ values / count
        std = np.sqrt((histogram * np.square(values - mean[:, None])).sum(axis=1) / count)
        return mean, std
    total = np.zeros(channels)
    for chunk in _chunks(images):
        total += chunk.sum(axis=(0, 2, 3), dtype=np.float64)
    mean = total / count
    return mean, _deviation(images, mean[:, None, None])


def byte_counts(images: Any) -> NDArray[np.int64]:
    """How often each value occurs in each channel of uint8 images: (C, 256)."""
    counts = np.zeros((images.shape[1], 256), np.int64)
    pairs = np.zeros((images.shape[1], 256 * 256), np.int64)  # two bytes at a time: half as many steps
    for chunk in _chunks(images, 2 * _CHUNK):
        for channel in range(len(counts)):
            values = np.ascontiguousarray(chunk[:, channel]).reshape(-1)
            even = values.size // 2 * 2
            pairs[channel] += np.bincount(values[:even].view(np.uint16), minlength=256 * 256)
            counts[channel] += np.bincount(values[even:], minlength=256)
    squares = pairs.reshape(-1, 256, 256)
    return counts + squares.sum(axis=1) + squares.sum(axis=2)


def _deviation(images: Any, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square of images - mean, per channel."""
    squares = np.zeros(images.shape[1])
    for chunk in _chunks(images):
        centred = chunk.astype(np.float64)
        centred -= mean
        squares += np.square(centred, out=centred).sum(axis=(0, 2, 3))
    return np.sqrt(squares / (len(images) * images.shape[2] * images.shape[3]))


def divisible(std: NDArray[np.float64]) -> NDArray[np.float64]:
    """What to divide by: 1 for a constant channel (deviation 0, or so small that 1 / std is no float32).

    Such a channel is centred and otherwise left alone.
    """
    return np.where(std < np.finfo(np.float32).tiny, 1.0, std)


def _chunks(images: Any, size: int = _CHUNK) -> Iterator[NDArray[Any]]:
    step = max(1, size // (images.shape[1] * images.shape[2] * images.shape[3]))
    for start in range(0, len(images), step):
        yield images[start : start + step]
