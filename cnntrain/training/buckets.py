"""What the sums over shards lie in, and the pieces in which they travel between processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.memory import line_aligned
from cnntrain.processes.division import Work

LEAST = 1 << 17  # bytes that are worth a message of their own: they take longer than a message of nothing
MOST = 16  # buckets; tags of messages count them
Done = Callable[[], bool]


class Slot:
    """Memory for what a node of the tree holds: numbers of the network's type, and some float64 behind them."""

    def __init__(self, floats: int, dtype: np.dtype, sums: int) -> None:
        room = -(-floats * dtype.itemsize // 8) * 8  # so that the float64 behind it are aligned
        self.bytes = line_aligned(room + 8 * sums, np.uint8)
        self.floats: NDArray[Any] = self.bytes[: floats * dtype.itemsize].view(dtype)
        self.sums: NDArray[np.float64] = self.bytes[room:].view(np.float64)


@dataclass
class Bucket:
    """A stretch of all slots that travels by itself.

    Attributes
    ----------
    number : int
        From 0, in the order in which they are final.
    start, stop : int
        Of the floats.
    has_sums : bool
        The float64 go with it.
    work : list of Work
        What is to be done with it in this step, and `place`: how far that is.
    leaf : int or None
        The slot of the last shard, while its values are still in the network only.
    arriving, spreading : callable or None
        Tells whether what is on the way from another process is there.
    """

    number: int
    start: int
    stop: int
    has_sums: bool
    work: Sequence[Work] = ()
    place: int = 0
    is_ready: bool = False
    is_written: bool = False
    leaf: int | None = None
    arriving: Done | None = None
    spreading: Done | None = None


def bucket_ends(starts: Sequence[int], floats: int, itemsize: int, least_bytes: int = LEAST) -> list[int]:
    """Return where buckets end, the last one first, and 0: where layers begin, and inside those that are large.

    A bucket is sent when the first layer in it is done, so it should not reach into another; it should have some
    bytes, so that these take longer than a message by itself. Only the bucket of the first layers may be smaller.

    Parameters
    ----------
    starts : sequence of int
        Where in the numbers those of each layer begin.
    floats : int
        How many numbers there are.
    itemsize : int
        Bytes of one.
    least_bytes : int
        Of a bucket; more where there would be too many.
    """
    least = max(least_bytes // itemsize, -(-floats // (MOST // 2)))
    ends = [floats]
    for start in sorted({*starts, 0}, reverse=True):
        behind = ends[-1] - start
        if start and behind < least:
            continue
        pieces = max(behind // least, 1)
        ends += [start + behind * piece // pieces for piece in reversed(range(pieces))]
    return ends
