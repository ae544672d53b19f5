"""Processes as threads of one: a team that posts its messages in a box, and a network that computes next to nothing."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.processes.team import Team
from cnntrain.training.feed import Batch
from cnntrain.training.interruption import StopSignals
from cnntrain.training.step import ShardedStep, StepSums

Event = tuple[str, int]  # ("send", bytes), ("back", layer): what a process did, in order


class Posting(Team):
    """One of several; all see the same box."""

    def __init__(self, rank: int, size: int, box: dict[Any, deque[bytes]]) -> None:
        self.rank, self.size, self._box = rank, size, box
        self.events: list[Event] = []
        self.sent: list[NDArray[Any]] = []
        self._spread = 0

    def send(self, array: NDArray[Any], to: int, tag: int) -> Callable[[], bool]:
        self.events.append(("send", array.nbytes))
        self.sent.append(array)
        self._box[self.rank, to, tag].append(array.tobytes())
        return lambda: True

    def receive(self, array: NDArray[Any], source: int, tag: int) -> Callable[[], bool]:
        letters = self._box[source, self.rank, tag]

        def is_there() -> bool:
            if not letters:
                return False
            array.view(np.uint8)[...] = np.frombuffer(letters.popleft(), np.uint8)
            return True

        return is_there

    def spread(self, array: NDArray[Any]) -> Callable[[], bool]:
        self._spread += 1
        if self.rank:
            return self.receive(array, 0, -self._spread)
        for other in range(1, self.size):
            self._box[0, other, -self._spread].append(array.tobytes())
        return lambda: True

    def wait(self, done: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + 30
        while not done():
            assert time.monotonic() < until, f"nothing from {what}"
            time.sleep(1e-4)


class Formula:
    """A network whose gradients follow from the number of the shard and the place alone."""

    def __init__(self, sizes: Sequence[int], statistics: int, told: Callable[[int], None]) -> None:
        self.dtype, self._told = np.dtype(np.float32), told
        self.starts = [0, *np.cumsum(sizes).tolist()]
        self.gradients = np.zeros(self.starts[-1], np.float32)
        self.measured = np.zeros(statistics, np.float32)
        self.loss_layer = SimpleNamespace(gradient=np.zeros(1, np.float32))
        self.correct, self._draw, self._images = 1, 0, 0

    def load(self, images: Any, rows: Any, normalization: Any) -> None:
        self._images = len(rows)

    def forward(self, training: bool, step: int) -> None:
        self._draw = step
        self.measured += np.float32(0.1) * np.float32(step + 1)

    def loss(self, labels: Any, mixture: Any) -> float:
        return 0.5

    @property
    def loss_sums(self) -> tuple[float, float]:
        return 0.1 * (self._draw + 1), float(self._images)

    def backward(self, ready: Callable[[int], None] | None = None) -> None:
        for layer in reversed(range(len(self.starts) - 1)):
            start, stop = self.starts[layer : layer + 2]
            self.gradients[start:stop] = gradient_of(self._draw, start, stop)
            self._told(layer)
            if ready is not None:
                ready(start)


def gradient_of(shard: int, start: int, stop: int) -> NDArray[np.float32]:
    """Return numbers whose sums round."""
    return np.sin(np.arange(start, stop) * (shard + 1.3)).astype(np.float32)


class Ran:
    """A step that several made together."""

    def __init__(self, processes: int, shards: int, sizes: Sequence[int], statistics: int, images: int) -> None:
        box: dict[Any, deque[bytes]] = defaultdict(deque)
        self.teams = [Posting(rank, processes, box) for rank in range(processes)]
        self.networks = [
            Formula(sizes, statistics, lambda layer, team=team: team.events.append(("back", layer)))  # type: ignore[misc]
            for team in self.teams
        ]
        self.sums: list[StepSums | None] = [None] * processes
        threads = [threading.Thread(target=self._run, args=(rank, shards, images)) for rank in range(processes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.left = sum(map(len, box.values()))

    def _run(self, rank: int, shards: int, images: int) -> None:
        step = ShardedStep(self.networks[rank], None, shards, self.teams[rank])  # type: ignore[arg-type]
        indices = np.arange(images)
        brought: Iterator[Batch] = (Batch(indices, piece, piece) for piece in step.pieces(indices))
        self.sums[rank] = step.run(brought, images, 0, StopSignals())
