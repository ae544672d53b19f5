"""From the training split to what a step takes: images brought, augmented, and their labels."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.augmentations.pipeline import Augmenter
from cnntrain.data import Split
from cnntrain.data.prefetch import bring
from cnntrain.losses.mixture import Mixture


@dataclass(frozen=True)
class Batch:
    """What one step trains on; valid until the next batch is made.

    Attributes
    ----------
    images : ndarray (N, C, H, W)
        As `Network.load` takes them, together with `rows`.
    rows : ndarray (n,)
        Which of them are the batch.
    labels : ndarray (n,)
    mixture : Mixture or None
        Second labels and weights, when images were mixed.
    """

    images: NDArray[Any]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    mixture: Mixture | None = None

    def __len__(self) -> int:
        return len(self.labels)


class Feed:
    """Makes the batches of the training split.

    Parameters
    ----------
    split : Split
    augmenter : Augmenter or None
        None leaves the images as they are.
    """

    def __init__(self, split: Split, augmenter: Augmenter | None = None) -> None:
        self._split, self._augmenter = split, augmenter

    def batches(self, indices: Iterable[NDArray[np.int64]], epoch: int) -> Generator[Batch]:
        """Yield one batch for each array of indices; what images become depends on epoch (from 0) and index alone."""
        labels, augmenter = self._split.labels, self._augmenter
        if augmenter is None:
            for chosen, images, rows in bring(self._split.images, indices):
                yield Batch(images, rows, labels[chosen])
            return
        for needed, images, rows in bring(self._split.images, (augmenter.needed(chosen, epoch) for chosen in indices)):
            pixels, partners = augmenter.augment(images, rows, needed, epoch)
            count = len(pixels)
            mixture = None if partners is None else Mixture(labels[partners.indices], partners.weights)
            yield Batch(pixels, np.arange(count, dtype=np.int64), labels[needed[:count]], mixture)

    @property
    def image_types(self) -> list[Any]:
        """The number types that images have when they reach the network."""
        stored = self._split.images.dtype
        return [stored] if self._augmenter is None else [stored, np.dtype(np.float32)]

    def warm_up(self) -> None:
        """Compile or load from the cache every kernel that making batches needs."""
        if self._augmenter is not None:
            self._augmenter.warm_up(self._split.images.dtype)
