"""The sums over shards: gradients, statistics and losses, added in the order of a tree, across processes too.

What a node of the tree holds lies in one piece of memory, a slot: all gradients, then the statistics, then a few sums
in float64. Between processes it travels in a few messages, one for each bucket: the gradients of the last layers are
final first, and travel while those of the first are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.memory import line_aligned
from cnntrain.network import Network
from cnntrain.processes.division import Add, Leaf, Receive, Send, Work
from cnntrain.processes.team import Team
from cnntrain.training.interruption import SIGNALS

_SUMS = 3 + len(SIGNALS)  # loss, weight, right answers, signals
_BUCKET = 1 << 17  # bytes that are worth a message of their own: they take longer than a message of nothing
_BUCKETS = 16  # at most so many; tags of messages count them
Done = Callable[[], bool]


class Slot:
    """Memory for what a node of the tree holds."""

    def __init__(self, floats: int, dtype: np.dtype) -> None:
        room = -(-floats * dtype.itemsize // 8) * 8  # so that the float64 behind it are aligned
        self.bytes = line_aligned(room + 8 * _SUMS, np.uint8)
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
    arriving: Done | None = None
    spreading: Done | None = None


class Noted(NamedTuple):
    """What the shard that is being computed adds beside its gradients: `change` is that of the statistics."""

    change: NDArray[Any]
    sums: NDArray[np.float64]


def bucket_ends(starts: Sequence[int], floats: int, itemsize: int) -> list[int]:
    """Return where buckets end, the last one first, and 0: where layers begin, and inside those that are large.

    A bucket is sent when the first layer in it is done, so it should not reach into another; it should have `_BUCKET`
    bytes, so that these take longer than a message by itself. Only the bucket of the first layers may be smaller.

    Parameters
    ----------
    starts : sequence of int
        Where in the numbers those of each layer begin.
    floats : int
        How many numbers there are.
    itemsize : int
        Bytes of one.
    """
    least = max(_BUCKET // itemsize, -(-floats // (_BUCKETS // 2)))
    ends = [floats]
    for start in sorted({*starts, 0}, reverse=True):
        behind = ends[-1] - start
        if start and behind < least:
            continue
        pieces = max(behind // least, 1)
        ends += [start + behind * piece // pieces for piece in reversed(range(pieces))]
    return ends


class ShardSums:
    """The sums of a step, from the shards that this process computes to what all processes get.

    Parameters
    ----------
    network : Network
        Its `gradients` and `measured` are added up and, at the end, written.
    team : Team
    """

    def __init__(self, network: Network, team: Team) -> None:
        self._network, self._team = network, team
        self._gradients = network.gradients.size
        self._floats = self._gradients + network.measured.size
        self._slots: list[Slot] = []
        self._noted = Noted(np.empty(0, network.dtype), np.zeros(_SUMS))
        self._before = network.measured.copy()
        self._received, self._result = (self._slot() if team.size > 1 else None for _ in range(2))
        self._outgoing: list[Done] = []
        self._images = 0
        self._buckets = self._cut()

    def _cut(self) -> list[Bucket]:
        """Return the buckets, those that are final first in front."""
        ends = [self._floats, 0]
        if self._team.size > 1:
            ends = bucket_ends(self._network.starts, self._floats, self._network.dtype.itemsize)
        return [Bucket(place, start, stop, not place) for place, (stop, start) in enumerate(pairwise(ends))]

    def _slot(self) -> Slot:
        return Slot(self._floats, self._network.dtype)

    def _at(self, number: int) -> Slot:
        while len(self._slots) <= number:
            self._slots.append(self._slot())
        return self._slots[number]

    # --- the shards of this process ---

    def start(self) -> None:
        """Begin a step: all shards begin with the statistics that the network has now."""
        self._before[...] = self._network.measured

    def restore(self) -> None:
        """Give the network the statistics with which the step began."""
        self._network.measured[...] = self._before

    def note(self, images: int, sums: NDArray[np.float64]) -> None:
        """Take notice of what the shard just run forward adds beside its gradients, which come next."""
        change = (self._network.measured - self._before) * self._network.dtype.type(images)
        self._noted = Noted(change, sums)

    def put(self, slot: int) -> None:
        """Keep what a shard gave in a slot."""
        for bucket in self._buckets:
            self._take(self._at(slot), bucket, add=False)

    def do(self, item: Work) -> None:
        """Do something other than a leaf, with all buckets; only what needs nothing of others."""
        for bucket in self._buckets:
            if isinstance(item, Add):
                self._add(self._at(item.target), self._at(item.source), bucket)
            elif isinstance(item, Send):
                self._send(item, bucket)

    # --- the last shard of this process, and what follows ---

    def begin(self, work: Sequence[Work]) -> None:
        """Say what is to be done from the last leaf on; its backward pass comes next."""
        for bucket in self._buckets:
            bucket.work = work
            self._expect(bucket)

    def ready(self, first: int) -> None:
        """Send on its way what the gradients from place `first` on are enough for."""
        for bucket in self._buckets:
            bucket.is_ready = bucket.is_ready or bucket.start >= first
        self._advance()

    def finish(self, images: int) -> list[float]:
        """Return when the network has the gradients and statistics of the whole batch, with the float64 sums."""
        self._images = images
        for bucket in self._buckets:
            bucket.is_ready = True
        self._team.wait(self._advance, "the processes that sums come from")
        sums = self._whole.sums.tolist()
        self._images = 0
        for bucket in self._buckets:
            bucket.work, bucket.place, bucket.is_ready, bucket.is_written, bucket.spreading = (), 0, False, False, None
        return sums

    @property
    def _whole(self) -> Slot:
        """The slot in which the sum of all shards arrives."""
        if self._team.rank == 0:
            return self._at(0)
        assert self._result is not None  # made in a team of several
        return self._result

    def _advance(self) -> bool:
        """Do what can be done now; tell whether nothing is left."""
        for bucket in self._buckets:
            if bucket.is_ready:
                self._work(bucket)
        for bucket in self._buckets:  # in one order, since all processes must begin to spread them in the same
            if not self._spread(bucket):
                break
        for bucket in self._buckets:  # in order too: the first brings the weight of the batch
            if not self._is_there(bucket):
                break
            if not bucket.is_written:
                self._write(bucket)
        self._outgoing = [gone for gone in self._outgoing if not gone()]
        return not self._outgoing and all(bucket.is_written for bucket in self._buckets)

    def _work(self, bucket: Bucket) -> None:
        """Go on with a bucket until something must arrive first."""
        while bucket.place < len(bucket.work):
            item = bucket.work[bucket.place]
            if isinstance(item, Leaf):
                bucket.place += self._take_last(item, bucket)
                continue
            if isinstance(item, Add):
                self._add(self._at(item.target), self._at(item.source), bucket)
            elif isinstance(item, Send):
                self._send(item, bucket)
            elif not self._receive(item, bucket):
                return
            bucket.place += 1
            if isinstance(item, Receive):
                self._expect(bucket)

    def _take_last(self, leaf: Leaf, bucket: Bucket) -> int:
        """Take the last shard's values: at once into the sum that follows, if one does; return how much that was."""
        behind = bucket.work[bucket.place + 1 : bucket.place + 2]
        if behind and isinstance(behind[0], Add) and behind[0].source == leaf.slot:
            self._take(self._at(behind[0].target), bucket, add=True)
            return 2
        self._take(self._at(leaf.slot), bucket, add=False)
        return 1

    def _take(self, slot: Slot, bucket: Bucket, *, add: bool) -> None:
        """Write a bucket's share of what the network computed to a slot, or add it."""
        network, noted = self._network, self._noted
        start, stop = bucket.start, min(bucket.stop, self._gradients)
        target, source = slot.floats[start:stop], network.gradients[start:stop]
        if add:
            np.add(target, source, out=target)
        else:
            target[...] = source
        first = max(bucket.start, self._gradients)
        if first < bucket.stop:
            change = noted.change[first - self._gradients : bucket.stop - self._gradients]
            slot.floats[first : bucket.stop] = slot.floats[first : bucket.stop] + change if add else change
        if bucket.has_sums:
            slot.sums[...] = slot.sums + noted.sums if add else noted.sums

    def _add(self, target: Slot, source: Slot, bucket: Bucket) -> None:
        into = target.floats[bucket.start : bucket.stop]
        np.add(into, source.floats[bucket.start : bucket.stop], out=into)
        if bucket.has_sums:
            target.sums += source.sums

    # --- between processes ---

    def _message(self, slot: Slot, bucket: Bucket) -> NDArray[np.uint8]:
        size = self._network.dtype.itemsize
        return slot.bytes[bucket.start * size : None if bucket.has_sums else bucket.stop * size]

    def _tag(self, node: int, bucket: Bucket) -> int:
        return node * _BUCKETS + bucket.number

    def _send(self, item: Send, bucket: Bucket) -> None:
        message = self._message(self._at(item.slot), bucket)
        self._outgoing.append(self._team.send(message, item.to, self._tag(item.node, bucket)))

    def _expect(self, bucket: Bucket) -> None:
        """Begin to receive what comes next, long before it is needed: so it need not wait in the sender's memory."""
        item = next((item for item in bucket.work[bucket.place :] if isinstance(item, Receive)), None)
        if item is not None and self._received is not None:
            message = self._message(self._received, bucket)
            bucket.arriving = self._team.receive(message, item.source, self._tag(item.node, bucket))

    def _receive(self, item: Receive, bucket: Bucket) -> bool:
        """Add what has arrived; tell whether it was there."""
        assert self._received is not None  # made in a team of several
        assert bucket.arriving is not None  # expected since the last one came
        if not bucket.arriving():
            return False
        self._add(self._at(item.slot), self._received, bucket)
        return True

    def _spread(self, bucket: Bucket) -> bool:
        """Begin to bring a bucket's sum of all shards to all processes; tell whether that has begun."""
        if bucket.spreading is None:
            if self._team.rank == 0 and not (bucket.is_ready and bucket.place == len(bucket.work)):
                return False
            bucket.spreading = self._team.spread(self._message(self._whole, bucket))
        return True

    def _is_there(self, bucket: Bucket) -> bool:
        """Tell whether a bucket's sum of all shards has come, and may be written."""
        return bucket.is_written or (self._images > 0 and bucket.spreading is not None and bucket.spreading())

    def _write(self, bucket: Bucket) -> None:
        """Divide a bucket's sums by the weight and the images of the batch, into the network's arrays."""
        network, whole = self._network, self._whole
        weight = whole.sums[1]
        kind = network.dtype.type
        start, stop = bucket.start, min(bucket.stop, self._gradients)
        np.multiply(whole.floats[start:stop], kind(1 / weight if weight else 0.0), out=network.gradients[start:stop])
        first = max(bucket.start, self._gradients)
        if first < bucket.stop:
            places = slice(first - self._gradients, bucket.stop - self._gradients)
            change = whole.floats[first : bucket.stop] / kind(self._images)
            network.measured[places] = self._before[places] + change
        bucket.is_written = True
