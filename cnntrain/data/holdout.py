"""The validation split: images held out of the training split, with the classes in the same proportion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ConfigError


def held_out_count(validation: int | float, images: int) -> int:
    """Return how many of `images` a count or a fraction means; raises `ConfigError` when none are left to train on."""
    count = validation if isinstance(validation, int) else int(validation * images + 0.5)
    if count >= images:
        raise ConfigError(
            f"data.validation: {validation} leaves nothing to train on: the training split has {images} images"
        )
    if validation > 0 and count == 0:
        raise ConfigError(f"data.validation: {validation} of {images} images is less than one image")
    return count


def stratified_holdout(
    labels: NDArray[np.int64], classes: int, count: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose images to hold out, from each class in proportion to its size.

    Class c with n_c of the n images gives count * n_c / n of them, rounded down or up so that the sum is exact: up
    where the remainder is largest (at equal remainders the lower class first). Which images is up to the generator.

    Parameters
    ----------
    labels : ndarray (n,)
        int64, 0 to classes - 1.
    classes, count : int
        Number of classes; number of images to hold out, 0 <= count <= n.
    generator : numpy.random.Generator
        Used for nothing but the choice.

    Returns
    -------
    kept, held_out : ndarray of int64
        Indices, both ascending; together every index once.
    """
    sizes = np.bincount(labels, minlength=classes)
    shares, remainders = np.divmod(sizes * count, len(labels))
    rounded_up = np.argsort(-remainders, kind="stable")[: count - int(shares.sum())]
    shares[rounded_up] += 1
    held = np.zeros(len(labels), dtype=bool)
    for label, share in enumerate(shares):
        members = np.flatnonzero(labels == label)
        held[generator.permutation(members)[:share]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
