"""Random numbers: one seed, and a generator of its own for every purpose.

What a generator gives depends on (seed, purpose, keys) alone, never on what was drawn before. So a network with dropout
sees the same data order as one without, and epoch 7 has the same order whether or not epochs 1 to 6 ran in the same
process.
"""

from __future__ import annotations

import numpy as np

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
