"""Random numbers: one seed, and a generator of its own for every purpose.

What a generator gives depends on (seed, purpose, keys) alone, never on what was drawn before. So a network with dropout
sees the same data order as one without, and epoch 7 has the same order whether or not epochs 1 to 6 ran in the same
process.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A purpose's number is part of every result: append, never renumber.
PURPOSES = {"initialisation": 0, "validation": 1, "shuffling": 2, "augmentation": 3, "dropout": 4, "gradient check": 5}


def generator(seed: int, purpose: str, *keys: int) -> np.random.Generator:
    """Return the generator of one purpose.

    Parameters
    ----------
    seed : int
        The config's seed, not negative.
    purpose : str
        A key of `PURPOSES`.
    *keys : int
        What the generator is for within the purpose, for example the epoch; not negative.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(PURPOSES[purpose], *keys))
    return np.random.Generator(np.random.PCG64(sequence))


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniforms(key: int, indices: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Random numbers that belong to things with a number: entry i depends on the key and indices[i] alone.

    Which things come together, in which order and in which process, does not matter. The numbers are those of the
    generator SplitMix64 started at `key`, from its position index * count on (Steele, Lea, Flood, "Fast splittable
    pseudorandom number generators", OOPSLA 2014).

    Parameters
    ----------
    key : int
        0 to 2**64 - 1; see `key_of`.
    indices : ndarray (n,)
        int64, not negative.
    count : int
        Numbers per index.

    Returns
    -------
    ndarray (n, count)
        float64, 0 <= x < 1, in steps of 2**-53.
    """
    position = indices.astype(np.uint64)[:, None] * np.uint64(count) + np.arange(1, count + 1, dtype=np.uint64)
    z = (np.uint64(key) + position * _GOLDEN).astype(np.uint64, copy=False)  # modulo 2**64, as everywhere here
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def key_of(seed: int, purpose: str, *keys: int) -> int:
    """Return the key for `uniforms` of one purpose; arguments as for `generator`."""
    return int(generator(seed, purpose, *keys).integers(2**64, dtype=np.uint64))
