"""The sums over shards: gradients, statistics and losses, added in the order of a tree, across processes too.

What a node of the tree holds lies in one piece of memory, a slot: all gradients, then the statistics, then a few sums
in float64. Between processes it travels in a few messages, one for each bucket: the gradients of the last layers are
final first, and travel while those of the first are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.network import Network
from cnntrain.processes.division import Add, Leaf, Receive, Send, Work
from cnntrain.processes.team import Team
from cnntrain.training.buckets import LEAST, MOST, Bucket, Done, Slot, bucket_ends
from cnntrain.training.interruption import SIGNALS

_BUCKET = LEAST  # bytes
_SUMS = 3 + len(SIGNALS)  # loss, weight, right answers, signals


class Noted(NamedTuple):
    """What the shard that is being computed adds beside its gradients: `change` is that of the statistics."""

    change: NDArray[Any]
    sums: NDArray[np.float64]


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
            ends = bucket_ends(self._network.starts, self._floats, self._network.dtype.itemsize, _BUCKET)
        return [Bucket(place, start, stop, not place) for place, (stop, start) in enumerate(pairwise(ends))]

    def _slot(self) -> Slot:
        return Slot(self._floats, self._network.dtype, _SUMS)

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
            self._take(self._at(slot), bucket)

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
        self._outgoing = [gone for gone in self._outgoing if not gone()]
        for bucket in self._buckets:  # in order too: the first brings the weight of the batch
            if self._outgoing or not self._is_there(bucket):  # what is written over must have gone
                break
            if not bucket.is_written:
                self._write(bucket)
        return all(bucket.is_written for bucket in self._buckets)

    def _work(self, bucket: Bucket) -> None:
        """Go on with a bucket until something must arrive first.

        The last shard's values stay in the network until they are needed: they are added, or sent, from there.
        """
        while bucket.place < len(bucket.work):
            item = bucket.work[bucket.place]
            if isinstance(item, Leaf):
                bucket.leaf = item.slot
            elif isinstance(item, Add):
                self._add(self._at(item.target), self._at(item.source), bucket, fresh=item.source == bucket.leaf)
            elif isinstance(item, Send):
                self._send(item, bucket)
            elif not self._receive(item, bucket):
                return
            bucket.place += 1
            if not isinstance(item, Leaf):
                bucket.leaf = None
            if isinstance(item, Receive):
                self._expect(bucket)
        if bucket.leaf is not None:  # nothing is added to it
            self._take(self._at(bucket.leaf), bucket)
            bucket.leaf = None

    def _take(self, slot: Slot, bucket: Bucket, other: Slot | None = None) -> None:
        """Write a bucket's share of what the network computed to a slot, added to what another has, if there is one."""
        network, noted = self._network, self._noted
        start, stop = bucket.start, min(bucket.stop, self._gradients)
        target, source = slot.floats[start:stop], network.gradients[start:stop]
        if other is None:
            target[...] = source
        else:
            np.add(other.floats[start:stop], source, out=target)
        first = max(bucket.start, self._gradients)
        if first < bucket.stop:
            change = noted.change[first - self._gradients : bucket.stop - self._gradients]
            slot.floats[first : bucket.stop] = change if other is None else other.floats[first : bucket.stop] + change
        if bucket.has_sums:
            slot.sums[...] = noted.sums if other is None else other.sums + noted.sums

    def _add(self, target: Slot, source: Slot, bucket: Bucket, *, fresh: bool = False) -> None:
        """Add a slot's values to another's; those of a `fresh` source are still in the network."""
        if fresh:
            self._take(target, bucket, target)
            return
        into = target.floats[bucket.start : bucket.stop]
        np.add(into, source.floats[bucket.start : bucket.stop], out=into)
        if bucket.has_sums:
            target.sums += source.sums

    # --- between processes ---

    def _message(self, slot: Slot, bucket: Bucket) -> NDArray[np.uint8]:
        size = self._network.dtype.itemsize
        return slot.bytes[bucket.start * size : None if bucket.has_sums else bucket.stop * size]

    def _tag(self, node: int, bucket: Bucket) -> int:
        return node * MOST + bucket.number

    def _send(self, item: Send, bucket: Bucket) -> None:
        slot = self._at(item.slot)
        message = self._message(slot, bucket)
        if item.slot == bucket.leaf:
            if bucket.stop > self._gradients or bucket.has_sums:
                self._take(slot, bucket)
            else:  # gradients and nothing else: no copy is needed
                message = self._network.gradients[bucket.start : bucket.stop].view(np.uint8)
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
        slot = self._at(item.slot)
        if item.slot == bucket.leaf:
            self._take(slot, bucket, self._received)
        else:
            self._add(slot, self._received, bucket)
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
