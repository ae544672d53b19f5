"""Arrays as pictures inside a page: PNG in data: addresses."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LARGEST = 96  # pixels of a side; larger images are scaled down, for the sake of the page's size
# Colours of the least value, of zero and of the largest: they keep their distance in light and dark, and for people who
# see no red or no green.
COLD, ZERO, WARM = (np.array(colour, np.float64) for colour in ((33, 102, 172), (247, 247, 247), (178, 24, 43)))


def picture_of(image: NDArray[Any]) -> str:
    """Return a stored image as a data: address.

    Parameters
    ----------
    image : ndarray, uint8 or float, (channels, rows, columns)
        One channel is grey, three are red, green and blue; of any other number the first is shown. Floats in 0..1 are
        shown as such, others from their least to their largest value.
    """
    shown = image if len(image) in (1, 3) else image[:1]
    if shown.dtype != np.uint8:
        shown = _as_bytes(shown.astype(np.float64))
    return png(shown[0] if len(shown) == 1 else shown.transpose(1, 2, 0))


def diverging(values: NDArray[Any], largest: float | None = None) -> str:
    """Return a matrix of signed numbers as a picture: blue below zero, white at zero, red above.

    Parameters
    ----------
    values : ndarray, (rows, columns)
    largest : float or None
        What has the full colour; None takes the largest absolute value.
    """
    return png(coloured(values, largest))


def coloured(values: NDArray[Any], largest: float | None = None) -> NDArray[np.uint8]:
    """Return the colours of `diverging`, (rows, columns, 3)."""
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    limit = float(np.abs(values).max(initial=0.0)) if largest is None else largest
    share = np.clip(values / limit if limit else values, -1, 1)[..., None]
    return np.rint(np.where(share < 0, ZERO + (ZERO - COLD) * share, ZERO + (WARM - ZERO) * share)).astype(np.uint8)


def signed_rgb(values: NDArray[Any]) -> str:
    """Return three signed matrices, (3, rows, columns), as one picture: zero is grey, the largest is full colour."""
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    return png(np.rint(127.5 + 127.5 * values.transpose(1, 2, 0) / largest).astype(np.uint8))


def png(pixels: NDArray[np.uint8]) -> str:
    """Return grey (rows, columns) or coloured (rows, columns, 3) bytes as a data: address."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _as_bytes(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    values = np.nan_to_num(values, nan=0.0)
    least, largest = float(values.min()), float(values.max())
    if least >= 0 and largest <= 1:
        least, largest = 0.0, 1.0
    return np.rint((values - least) / ((largest - least) or 1.0) * 255).astype(np.uint8)
