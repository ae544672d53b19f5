"""Several views of an image: mirrored and shifted, whose outputs are averaged (`test_time`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.config import Config

# Of images (N, C, H, W) as they are stored: each view's weight, and the images as it shows them.
Views = Callable[[NDArray[Any]], Iterator[tuple[float, NDArray[Any]]]]


def views_of(config: Config) -> Views | None:
    """Return the views that a config's network is asked for; None for the image alone.

    With `flip`, image and mirror image have the same weight. With `shift`, half of the weight stays with the image in
    its place, a quarter each goes to the image moved up and left, and down and right (Jordan 2024); what comes in at
    the border is reflected, the edge not repeated.
    """
    settings = config.test_time
    if settings is None:
        return None
    shift = settings.shift
    places = ((0, 0.5), (shift, 0.25), (-shift, 0.25)) if shift else ((0, 1.0),)
    sides = ((False, 0.5), (True, 0.5)) if settings.flip else ((False, 1.0),)

    def views(images: NDArray[Any]) -> Iterator[tuple[float, NDArray[Any]]]:
        for (by, share), (mirrored, half) in product(places, sides):
            yield share * half, _seen(images, by, mirrored)

    return views


def _seen(images: NDArray[Any], by: int, mirrored: bool) -> NDArray[Any]:
    """Return the images moved by so many rows and columns up and left, then mirrored."""
    rows, columns = images.shape[2:]
    if by:
        edge = abs(by)
        padded = np.pad(images, ((0, 0), (0, 0), (edge, edge), (edge, edge)), mode="reflect")
        images = padded[:, :, edge + by : edge + by + rows, edge + by : edge + by + columns]
    return np.ascontiguousarray(images[..., ::-1] if mirrored else images)
