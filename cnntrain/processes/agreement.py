"""What all processes must have in common before they compute one thing: compared, not trusted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError
from cnntrain.processes.team import Team

_WHOLE = 1 << 28  # bytes of images up to which all are looked at
_SAMPLE = 64  # images that are looked at of larger or lazy ones


def agree(team: Team, facts: Mapping[str, str]) -> None:
    """Raise `ArgumentError`, the same everywhere, if the facts of some process differ from those of process 0.

    Collective. `facts` are named as the message is to name them.
    """
    everybody = team.gather(dict(facts))
    wrong = [
        f"{team.names()[rank]}: {name}: {_short(theirs.get(name, 'nothing'))}, process 0 has {_short(value)}"
        for rank, theirs in enumerate(everybody)
        for name, value in everybody[0].items()
        if theirs.get(name) != value
    ]
    if wrong:
        shown = [*wrong[:10], f"and {len(wrong) - 10} more"] if len(wrong) > 10 else wrong
        raise ArgumentError("the processes do not have the same things to compute with:\n  " + "\n  ".join(shown))


def _short(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:57]}..."


def digest_of(images: Any, labels: NDArray[np.int64]) -> str:
    """Return a digest of a split: of all labels and images, or of images spread over it where that would take long."""
    count = len(images)
    size = int(np.prod(images.shape[1:])) * np.dtype(images.dtype).itemsize
    is_whole = isinstance(images, np.ndarray) and count * size <= _WHOLE
    chosen = images if is_whole else images[np.unique(np.linspace(0, count - 1, min(_SAMPLE, count)).astype(np.int64))]
    digest = hashlib.blake2b(repr((images.shape, str(images.dtype))).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(labels).data)
    digest.update(np.ascontiguousarray(chosen).reshape(-1).data)
    return digest.hexdigest()
