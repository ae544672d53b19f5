"""A team of threads that pass copies through mailboxes, some of them late: what MPI does, in one process."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.processes.team import Team


class Mail:
    """What is on the way between the processes of a team; messages arrive after some looks, one later than another."""

    def __init__(self, seed: int) -> None:
        self.lock = threading.Lock()
        self.boxes: dict[Any, list[NDArray[np.uint8]]] = defaultdict(list)
        self.sent: list[int] = []  # bytes of each message
        self.random = random.Random(seed)


class ThreadTeam(Team):
    """One of several threads."""

    def __init__(self, rank: int, size: int, mail: Mail) -> None:
        self.rank, self.size, self._mail = rank, size, mail
        self._spreads = 0

    def send(self, array: NDArray[Any], to: int, tag: int) -> Callable[[], bool]:
        with self._mail.lock:
            self._mail.sent.append(array.nbytes)
        # copied late, as MPI may: who changes the array before it is told that it has gone sends something else
        return self._later(lambda: self._mail.boxes[self.rank, to, tag].append(array.copy()))

    def receive(self, array: NDArray[Any], source: int, tag: int) -> Callable[[], bool]:
        return self._into(array, (source, self.rank, tag))

    def spread(self, array: NDArray[Any]) -> Callable[[], bool]:
        number, self._spreads = self._spreads, self._spreads + 1
        if self.rank:
            return self._into(array, ("spread", number, self.rank))

        def send() -> None:
            for rank in range(1, self.size):
                self._mail.boxes["spread", number, rank].append(array.copy())

        return self._later(send)

    def _later(self, act: Callable[[], None]) -> Callable[[], bool]:
        with self._mail.lock:
            looks = self._mail.random.randrange(4)

        def done() -> bool:
            nonlocal looks
            looks -= 1
            if looks == -1:
                with self._mail.lock:
                    act()
            return looks < 0

        return done

    def _into(self, array: NDArray[Any], key: Any) -> Callable[[], bool]:
        is_there = False

        def done() -> bool:
            nonlocal is_there
            with self._mail.lock:
                if not is_there and self._mail.boxes[key]:
                    array[...] = self._mail.boxes[key].pop(0)
                    is_there = True
            return is_there

        return done

    def wait(self, done: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + 30
        while not done():
            assert time.monotonic() < limit, f"process {self.rank} waits for {what}"
            time.sleep(0)


def together(size: int, work: Callable[[Team], Any], seed: int = 0) -> tuple[list[Any], Mail]:
    """Return what each of so many threads made of its team."""
    mail, results, problems = Mail(seed), [None] * size, []

    def be(rank: int) -> None:
        try:
            results[rank] = work(ThreadTeam(rank, size, mail))
        except BaseException as problem:  # shown by the test
            problems.append(problem)

    threads = [threading.Thread(target=be, args=[rank]) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    assert not any(mail.boxes.values()), "a message that nobody took"
    return results, mail
