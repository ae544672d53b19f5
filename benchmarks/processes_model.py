"""How long a step takes on many processes: the messages of the tree, one by one, on a network of given speed.

Processes do what `cnntrain.processes.division` and `cnntrain.training.shard_sums` let them do, with the same buckets;
here they only take the time of it. A process computes its parts of the batch one after the other. While it goes back
through the last of them, each bucket whose layers are done is copied, added to what has come, and sent to whoever needs
it; it looks for messages between layers, and all the time when it has nothing else to do. A message needs its sender's
link for its bytes, then the latency, then its receiver's link. The sum of all is sent down a binomial tree.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, count, pairwise
from typing import NamedTuple

from cnntrain.processes.division import Add, Leaf, Receive, Send, Work, leaves_of, work_of
from cnntrain.training.buckets import bucket_ends


class Wire(NamedTuple):
    """What is between two processes.

    Attributes
    ----------
    latency : float
        Seconds from the last byte's departure to its arrival.
    bandwidth : float
        Bytes per second of each process, in each direction.
    """

    latency: float
    bandwidth: float


# what is usual for TCP on such Ethernet, and for InfiniBand of 100 Gbit/s; `--wire` gives others
WIRES = {
    "1 Gbit/s": Wire(50e-6, 0.117e9),
    "10 Gbit/s": Wire(30e-6, 1.17e9),
    "25 Gbit/s": Wire(20e-6, 2.9e9),
    "InfiniBand": Wire(2e-6, 12e9),
}


class Profile(NamedTuple):
    """What one process takes for one part of a batch.

    Attributes
    ----------
    forward : float
        Seconds, the loss among them.
    backward : tuple of (int, float)
        Of each layer, the last first: how many learned numbers it has, and seconds back through it.
    update : float
        Seconds of the optimiser, once a step.
    statistics : int
        Numbers beside the gradients that are summed.
    images : int
        Of a part.
    itemsize : int
        Bytes of a number.
    copying : float
        Bytes per second of a copy or sum.
    message : float
        Seconds of the processor to begin or end a message.
    """

    forward: float
    backward: tuple[tuple[int, float], ...]
    update: float
    statistics: int = 0
    images: int = 64
    itemsize: int = 4
    copying: float = 5e9
    message: float = 20e-6

    @property
    def part(self) -> float:
        """Seconds forward and back."""
        return self.forward + sum(seconds for _, seconds in self.backward)

    @property
    def floats(self) -> int:
        """Numbers that are summed."""
        return sum(size for size, _ in self.backward) + self.statistics

    def at_the_end(self) -> Profile:
        """Return the same where nothing is final before everything is: without overlap."""
        nothing = tuple((0, seconds) for _, seconds in self.backward[:-1])
        all_numbers = sum(size for size, _ in self.backward)
        return self._replace(backward=(*nothing, (all_numbers, self.backward[-1][1])))

    def buckets(self) -> list[tuple[float, float]]:
        """Return seconds until a bucket is final on the way back, and its bytes."""
        sizes = [size for size, _ in reversed(self.backward)]
        starts = list(accumulate(sizes, initial=0))
        ended = list(accumulate(seconds for _, seconds in self.backward))[::-1]  # by layer, the first one in front
        found = []
        for stop, start in pairwise(bucket_ends(starts, self.floats, self.itemsize)):
            layer = max(number for number, begin in enumerate(starts[:-1]) if begin <= start)
            found.append((ended[layer], float((stop - start) * self.itemsize)))
        return found


@dataclass
class Step:
    """What a step is predicted to take.

    Attributes
    ----------
    seconds : float
        Until the last process is through.
    alone : float
        What one process takes for all parts, in a step.
    efficiency : float
        alone / (processes * seconds).
    exposed : float
        Seconds that are not the computation of the process with the most parts, and the update.
    sent : list of float
        Bytes that each process sends.
    messages : int
    """

    seconds: float
    alone: float
    efficiency: float
    exposed: float
    sent: list[float]
    messages: int


@dataclass
class _Process:
    """What one of them does: its work, when it is through with it, and how far it is with each bucket."""

    work: list[Work]
    place: list[int]
    computed: float = 0.0  # when its last part will be through, if it does nothing else
    layers: list[float] = field(default_factory=list)  # when it looks for messages until then
    delay: float = 0.0  # what else it has done while it was computing
    free: float = 0.0  # when it is through with what it does now
    leaving: float = 0.0  # when its link outwards is free
    arriving: float = 0.0
    sent: float = 0.0
    ready: set[int] = field(default_factory=set)
    came: set[tuple[int, int]] = field(default_factory=set)  # (bucket, node)
    whole: set[int] = field(default_factory=set)


class _Simulation:
    """Processes and messages in the order of time."""

    def __init__(self, profile: Profile, wire: Wire, processes: int, shards: int) -> None:
        self.profile, self.wire, self.count = profile, wire, processes
        self.buckets = profile.buckets()
        self.events: list[tuple[float, int, str, int, int, int]] = []
        self.number, self.messages, self.spread = count(), 0, 0
        self.all = [self._process(rank, processes, shards) for rank in range(processes)]

    def _process(self, rank: int, processes: int, shards: int) -> _Process:
        work = work_of(rank, processes, shards, shards)
        last = max(place for place, item in enumerate(work) if isinstance(item, Leaf))
        parts = sum(1 for _ in leaves_of(work))
        began = parts * self.profile.part - sum(seconds for _, seconds in self.profile.backward)
        layers = list(accumulate((seconds for _, seconds in self.profile.backward), initial=began))
        process = _Process(work, [last] * len(self.buckets), layers[-1], layers)
        for number, item in enumerate(item for item in work[:last] if isinstance(item, Send)):
            for bucket in range(len(self.buckets)):  # of parts before the last
                self._at((number + 1) * self.profile.part, "early", rank, bucket, work.index(item))
        for bucket, (final, _) in enumerate(self.buckets):
            self._at(began + final, "ready", rank, bucket, 0)
        return process

    def _at(self, time: float, what: str, rank: int, bucket: int, node: int) -> None:
        heapq.heappush(self.events, (time, next(self.number), what, rank, bucket, node))

    def _looks(self, process: _Process, time: float) -> float:
        """Return when a process notices what happens at a time."""
        if time >= process.computed + process.delay:
            return max(time, process.free)
        return max(next(end + process.delay for end in process.layers if end + process.delay >= time), process.free)

    def _send(self, rank: int, to: int, bucket: int, time: float, node: int) -> None:
        """Let a bucket leave; node 0 is the sum of all on its way down."""
        sender, receiver, size = self.all[rank], self.all[to], self.buckets[bucket][1]
        taken = size / self.wire.bandwidth
        sender.leaving = max(time, sender.leaving) + taken
        receiver.arriving = max(sender.leaving + self.wire.latency, receiver.arriving + taken)
        sender.sent += size
        self.messages += 1
        self._at(receiver.arriving, "arrived" if node else "whole", to, bucket, node)

    def run(self) -> None:
        while self.events:
            time, _, what, rank, bucket, node = heapq.heappop(self.events)
            process = self.all[rank]
            if what == "early":
                item = process.work[node]
                assert isinstance(item, Send)
                self._send(rank, item.to, bucket, time, item.node)
                continue
            noticed = time + process.delay if what == "ready" else self._looks(process, time)
            if what == "ready":
                process.ready.add(bucket)
            elif what == "arrived":
                process.came.add((bucket, node))
            now = max(noticed, process.free)
            end = self._pass_on(rank, bucket, now) if what == "whole" else self._advance(rank, bucket, now)
            process.free = end
            if now < process.computed + process.delay:
                process.delay += end - now

    def _advance(self, rank: int, bucket: int, now: float) -> float:
        """Go on with a bucket as far as may be; return when that is done."""
        process, profile, size = self.all[rank], self.profile, self.buckets[bucket][1]
        while bucket in process.ready and process.place[bucket] < len(process.work):
            item = process.work[process.place[bucket]]
            if isinstance(item, (Leaf, Add)):
                now += size / profile.copying
            elif isinstance(item, Send):
                now += profile.message
                self._send(rank, item.to, bucket, now, item.node)
            elif isinstance(item, Receive):
                if (bucket, item.node) not in process.came:
                    return now
                now += profile.message + size / profile.copying
            process.place[bucket] += 1
        while rank == 0 and self.spread < len(self.buckets) and self._summed(self.spread):
            now = self._pass_on(0, self.spread, now)
            self.spread += 1
        return now

    def _summed(self, bucket: int) -> bool:
        root = self.all[0]
        return bucket in root.ready and root.place[bucket] == len(root.work)

    def _pass_on(self, rank: int, bucket: int, now: float) -> float:
        """Send the sum of all down the tree; return when the last message has begun."""
        for child in children(rank, self.count):
            now += self.profile.message
            self._send(rank, child, bucket, now, 0)
        self.all[rank].whole.add(bucket)
        return now


def children(rank: int, processes: int) -> Iterator[int]:
    """Yield to whom a process sends in a binomial tree with root 0, those with the most behind them first."""
    step = rank & -rank if rank else 1 << max(processes - 1, 1).bit_length()
    while (step := step // 2) > 0:
        if rank + step < processes:
            yield rank + step


def predict(profile: Profile, wire: Wire, processes: int, shards: int) -> Step:
    """Predict a step of so many processes with so many equal parts."""
    simulation = _Simulation(profile, wire, processes, shards)
    simulation.run()
    assert all(len(process.whole) == len(simulation.buckets) for process in simulation.all)
    size = profile.floats * profile.itemsize / profile.copying
    seconds = max(max(one.free, one.computed + one.delay) for one in simulation.all) + size + profile.update
    alone = shards * (profile.part + size) + size + profile.update
    computing = math.ceil(shards / processes) * profile.part + profile.update
    sent = [process.sent for process in simulation.all]
    return Step(
        seconds, alone, alone / (processes * seconds), seconds - computing, sent, simulation.messages
    )  # fmt: skip
