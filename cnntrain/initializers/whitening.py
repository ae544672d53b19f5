"""`whitening`: the first layer's filters, computed from the training images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.errors import ShapeError
from cnntrain.initializers.base import Initializer
from cnntrain.settings import PositiveFloat, PositiveInt, Settings

CHUNK = 250  # images whose patches are held at a time


class WhiteningSettings(Settings):
    """YAML keys of `whitening`."""

    main = "epsilon"
    epsilon: PositiveFloat = Field(
        5e-4, description="Added to each eigenvalue, so that directions without variance do not become noise."
    )
    images: PositiveInt = Field(5000, description="How many training images are looked at, evenly spread.")


class Whitening(Initializer):
    """Filters that decorrelate the images' patches and bring them to variance 1, each with its negative.

    They are the eigenvectors of E[p p^T], p a patch of the window's size at any place of a normalised training image,
    each divided by sqrt(eigenvalue + epsilon), the largest first; then the same negated, so that what an activation
    cuts off on one side passes on the other (Page 2018; both signs: Jordan 2024). Where there are fewer filters than
    twice the values of a patch, those of the smallest eigenvalues are left out. Where no images are at hand (`bench`,
    `prove`), orthogonal filters stand for them. For the network's first layer.
    """

    name = "whitening"
    Settings = WhiteningSettings
    needs_images = True

    def check(self, shape: tuple[int, ...]) -> None:
        """Need pairs of filters, no more than patches have directions."""
        if len(shape) != 4:
            raise ShapeError(f"it needs filters (four dimensions), these values have {len(shape)}")
        most = 2 * int(np.prod(shape[1:]))
        if shape[0] % 2 or shape[0] > most:
            raise ShapeError(
                f"it makes filters in pairs, at most {most} for patches of {most // 2} values; received {shape[0]}"
            )

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
        """Draw pairs of orthogonal filters, until the images are there."""
        size = int(np.prod(shape[1:]))
        q, _ = np.linalg.qr(generator.standard_normal((size, size)))
        return _pairs(q[:, : shape[0] // 2].T, shape)

    def values_of(self, images: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Return the filters of normalised images (N, C, H, W).

        The sign of an eigenvector is chosen: its largest entry is positive (of equals the first).
        """
        size = int(np.prod(shape[1:]))
        moments, count = np.zeros((size, size)), 0
        for start in range(0, len(images), CHUNK):
            windows = np.lib.stride_tricks.sliding_window_view(images[start : start + CHUNK], shape[2:], axis=(2, 3))
            patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, size).astype(np.float64)
            moments += patches.T @ patches
            count += len(patches)
        eigenvalues, vectors = np.linalg.eigh(moments / count)
        largest = np.abs(vectors).argmax(axis=0)
        vectors = vectors * np.sign(vectors[largest, np.arange(size)])
        scaled = vectors / np.sqrt(np.maximum(eigenvalues, 0.0) + self.settings.epsilon)
        return _pairs(scaled[:, ::-1][:, : shape[0] // 2].T, shape)


def _pairs(filters: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.concatenate([filters, -filters]).reshape(shape)
