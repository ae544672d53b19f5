"""Which random numbers a network's learned arrays begin with: each array draws its own."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from cnntrain.randomness import generator

_WEIGHT, _BIAS, _OTHER = range(3)


class InitialDraws:
    """The generators of one network's initial values.

    Parameters
    ----------
    seed : int
        The config's.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._taken: set[tuple[int, ...]] = set()

    def __call__(self, path: str, tensor: str) -> np.random.Generator:
        """Return the generator of a layer's tensor: it follows from the two names, and no other tensor has it."""
        keys = keys_of(path, tensor)
        if keys in self._taken:  # two names have the same checksum
            keys = (*keys, *f"{path}.{tensor}".encode())
        self._taken.add(keys)
        return generator(self._seed, "initialisation", *keys)


def keys_of(path: str, tensor: str) -> tuple[int, ...]:
    """Return what a tensor's random numbers depend on beside the seed.

    Weights and biases of the outermost layers have (layer's number, 0 or 1), those inside others a checksum of their
    names too; every other tensor has its name, spelt out. These keys are part of every result: never change them.
    """
    index, _, below = path.partition(".")
    name = f"{below}.{tensor}".encode()
    if tensor not in ("weight", "bias"):
        return int(index), _OTHER, *name
    kind = _BIAS if tensor == "bias" else _WEIGHT
    return (int(index), kind, crc32(name)) if "." in below else (int(index), kind)
