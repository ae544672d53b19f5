"""Processes on one machine as if there were a network between them: messages arrive late, and layers sleep.

Started by mpiexec, from `processes.py --check`. What is run is `ShardedStep` with its sums; only the network (which
sleeps for as long as its layers take) and the team (which holds messages back) are stand-ins. Process 0 prints a JSON
object.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.processes_model import Profile, Wire, children
from cnntrain.memory import line_aligned
from cnntrain.processes import launch
from cnntrain.processes.team import Team
from cnntrain.training.feed import Batch
from cnntrain.training.interruption import StopSignals
from cnntrain.training.step import ShardedStep

SPREAD = 1 << 20  # tags from here on are those of sums on their way down; others are below
IN_TURN = 1 << 15  # so many of them are told apart
STAMP = 8  # bytes in front of a message: when its last byte has left, and the latency is over


class DelayedTeam(Team):
    """A team whose messages take as long as a wire of the model; sums go down a binomial tree.

    Parameters
    ----------
    team : Team
        Whose processes are all on one machine: the clock must be the same for all.
    wire : Wire
    """

    def __init__(self, team: Team, wire: Wire) -> None:
        self._team, self._wire = team, wire
        self.rank, self.size, self.patience = team.rank, team.size, team.patience
        self._leaving = self._arriving = 0.0
        self._spread = 0
        self.messages = 0

    def wait(self, done: Callable[[], bool], what: str) -> None:
        self._team.wait(done, what)

    def send(self, array: NDArray[Any], to: int, tag: int) -> Callable[[], bool]:
        self.messages += 1
        self._leaving = max(time.monotonic(), self._leaving) + array.nbytes / self._wire.bandwidth
        stamp = np.array([self._leaving + self._wire.latency]).view(np.uint8)
        message = np.concatenate([stamp, array.view(np.uint8)])
        gone = self._team.send(message, to, tag)
        return lambda: message is not None and gone()  # keeps it until then

    def receive(self, array: NDArray[Any], source: int, tag: int) -> Callable[[], bool]:
        message = np.empty(STAMP + array.nbytes, np.uint8)
        came, due = self._team.receive(message, source, tag), [0.0]

        def is_there() -> bool:
            if not due[0]:
                if not came():
                    return False
                stamp = float(message[:STAMP].view(np.float64)[0])
                self._arriving = due[0] = max(stamp, self._arriving + array.nbytes / self._wire.bandwidth)
            if time.monotonic() < due[0]:
                return False
            array.view(np.uint8)[...] = message[STAMP:]
            return True

        return is_there

    def spread(self, array: NDArray[Any]) -> Callable[[], bool]:
        tag = SPREAD + self._spread % IN_TURN
        self._spread += 1
        sent: list[Callable[[], bool]] = []
        parent = self.rank & (self.rank - 1)
        came = self.receive(array, parent, tag) if self.rank else lambda: True
        passed_on: list[bool] = []

        def is_done() -> bool:
            if not passed_on:
                if not came():
                    return False
                sent.extend(self.send(array, child, tag) for child in children(self.rank, self.size))
                passed_on.append(True)
            return all(gone() for gone in sent)

        is_done()
        return is_done


class Sleeper:
    """A network that takes its time and computes nothing."""

    def __init__(self, profile: Profile) -> None:
        self._profile, self.dtype = profile, np.dtype(np.float32)
        sizes = [size for size, _ in reversed(profile.backward)]
        self.starts = [0, *np.cumsum(sizes).tolist()]
        self.gradients = line_aligned(self.starts[-1], self.dtype)
        self.measured = line_aligned(profile.statistics, self.dtype)
        self.loss_sums, self.correct = (1.0, 1.0), 0
        self.loss_layer = SimpleNamespace(gradient=np.zeros(1, np.float32))
        self._until = 0.0

    def load(self, *_: Any) -> None:
        self._until = time.monotonic()

    def loss(self, *_: Any) -> float:
        return 1.0

    def forward(self, training: bool, step: int) -> None:
        self._sleep(self._profile.forward)

    def backward(self, ready: Callable[[int], None] | None = None) -> None:
        for number, (_, seconds) in enumerate(self._profile.backward):
            self._sleep(seconds)
            if ready is not None:
                ready(self.starts[-2 - number])

    def _sleep(self, seconds: float) -> None:
        """Sleep until a layer would be through, however late the machine has woken it after the one before."""
        self._until += seconds
        time.sleep(max(self._until - time.monotonic(), 0.0))


def steps(profile: Profile, team: Team, shards: int, number: int) -> Iterator[float]:
    """Yield the seconds of steps."""
    step, stop = ShardedStep(Sleeper(profile), None, shards, team), StopSignals()  # type: ignore[arg-type]
    indices = np.arange(shards * 16)
    for at in range(number):
        brought = (Batch(indices, piece, piece) for piece in step.pieces(indices))
        began = time.monotonic()
        step.run(brought, indices.size, at, stop)
        time.sleep(profile.update)
        yield time.monotonic() - began


def main() -> None:
    """Make steps as the first argument says, with all processes."""
    plan = json.loads(sys.argv[1])
    profile = Profile(**{**plan["profile"], "backward": tuple(map(tuple, plan["profile"]["backward"]))})
    team = DelayedTeam(launch.join(), Wire(*plan["wire"]))
    times = list(steps(profile, team, plan["shards"], plan["steps"] + 1))[1:]
    everybody = launch.joined().gather((times, team.messages // (plan["steps"] + 1)))
    if team.writes:
        alone, messages = zip(*everybody, strict=True)
        print(json.dumps({"seconds": np.max(alone, axis=0).tolist(), "messages": sum(messages)}))


if __name__ == "__main__":
    main()
