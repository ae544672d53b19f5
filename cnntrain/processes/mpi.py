"""A team over MPI (mpi4py): every wait looks for failures of others, so that none waits for one that is gone.

Messages about failures have a communicator of their own. A process that cannot go on tells process 0, which prints the
message and lets the others end; each answers. Who does not answer within seconds is ended by the launcher.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import mpi4py
import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import CnntrainError, TrainingError
from cnntrain.processes.team import Team, Value

mpi4py.rc.thread_level = "funneled"  # only the main thread speaks to the others

from mpi4py import MPI  # noqa: E402 (reads what was set above)

_FAILED, _END, _ENDING = 1, 2, 3  # tags: a failure's text to process 0, the order to end, its answer
_ANSWER = 5.0  # seconds in which processes answer an order to end
_BUSY = 2000  # polls before a wait gives the core away between two
_LOOK = 64  # polls between two looks for failures


class OtherFailedError(CnntrainError):
    """Another process cannot go on; the message is its own."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.exit_code = code


class EndedError(BaseException):
    """Process 0 has told the reason, and this process must end; no handler of errors may stop it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class MpiTeam(Team):
    """The processes of MPI's world.

    Parameters
    ----------
    patience : float
        Seconds that a process waits for others before it gives up.

    Attributes
    ----------
    patience : float
    """

    def __init__(self, patience: float) -> None:
        world = MPI.COMM_WORLD
        self.patience = patience
        self._errors = os.fdopen(os.dup(2), "w")  # stays when the others fall silent
        self._sums, self._failures = world.Dup(), world.Dup()
        self.rank, self.size = world.Get_rank(), world.Get_size()
        self._machine = world.Split_type(MPI.COMM_TYPE_SHARED)
        self._names = [f"process {rank} ({host})" for rank, host in enumerate(self.gather(MPI.Get_processor_name()))]

    @property
    def library(self) -> str:
        """What the MPI library calls itself."""
        return MPI.Get_library_version().split("\n")[0].strip("\x00 ")

    def names(self) -> list[str]:
        return self._names

    # --- values ---

    def gather(self, value: Value) -> list[Value]:
        mine = np.frombuffer(pickle.dumps(value), np.uint8)
        sizes = np.empty(self.size, np.int64)
        self._finish(self._sums.Iallgather(np.array([mine.size], np.int64), sizes))
        starts = np.concatenate([[0], np.cumsum(sizes)])
        everything = np.empty(int(starts[-1]), np.uint8)
        place = [everything, sizes, starts[:-1], MPI.BYTE]
        self._finish(self._sums.Iallgatherv([mine, MPI.BYTE], place))
        return [pickle.loads(everything[a:b].tobytes()) for a, b in pairwise(starts)]  # noqa: S301 (our own)

    def from_first(self, make: Callable[[], Value]) -> Value:
        content = np.frombuffer(pickle.dumps(make()), np.uint8).copy() if self.rank == 0 else np.empty(0, np.uint8)
        size = np.array([content.size], np.int64)
        self._finish(self._sums.Ibcast(size, 0))
        if self.rank:
            content = np.empty(int(size[0]), np.uint8)
        self._finish(self._sums.Ibcast([content, MPI.BYTE], 0))
        value: Value = pickle.loads(content.tobytes())  # noqa: S301 (our own)
        return value

    def first_on_machine(self, make: Callable[[], Value]) -> Value:
        if self._machine.Get_rank() == 0:
            value = make()
            self._finish(self._machine.Ibarrier())
            return value
        self._finish(self._machine.Ibarrier())
        return make()

    def threads(self) -> int | None:
        mine = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        machine = self._machine.Get_rank(), self._first_on_machine()
        others = [cores for cores, (_, first) in self.gather((mine, machine)) if first == machine[1]]
        return max((len(mine) or os.cpu_count() or 1) // others.count(mine), 1)

    def _first_on_machine(self) -> int:
        """Return the rank of the machine's first process, which names the machine."""
        first = np.array([self.rank], np.int64)
        self._finish(self._machine.Ibcast(first, 0))
        return int(first[0])

    # --- the tree of sums ---

    def send(self, array: NDArray[Any], to: int, tag: int) -> Callable[[], bool]:
        return self._sums.Isend([array, MPI.BYTE], to, tag).Test

    def receive(self, array: NDArray[Any], source: int, tag: int) -> Callable[[], bool]:
        return self._sums.Irecv([array, MPI.BYTE], source, tag).Test

    def spread(self, array: NDArray[Any]) -> Callable[[], bool]:
        return self._sums.Ibcast([array, MPI.BYTE], 0).Test

    # --- waiting and failing ---

    def _finish(self, request: Any) -> None:
        self.wait(request.Test, "the others")

    def wait(self, done: Callable[[], bool], what: str) -> None:
        polls, began = 0, 0.0
        while not done():
            polls += 1
            if polls % _LOOK == 0:
                self._look()
                now = time.monotonic()
                began = began or now
                if now - began > self.patience:
                    raise TrainingError(
                        f"{self._names[self.rank]}: no answer from {what} for {self.patience:g} s; the processes end. "
                        "--patience SECONDS lets them wait longer"
                    )
            if polls > _BUSY:
                time.sleep(5e-5)
            elif polls > _LOOK and hasattr(os, "sched_yield"):
                os.sched_yield()  # who is waited for may want this core

    def _look(self) -> None:
        """Raise what another's failure means for this process, if there is one."""
        if self.rank == 0:
            if self._failures.Iprobe(MPI.ANY_SOURCE, _FAILED):
                raise OtherFailedError(*self._failures.recv(source=MPI.ANY_SOURCE, tag=_FAILED))
        elif self._failures.Iprobe(0, _END):
            code = self._failures.recv(source=0, tag=_END)
            self._failures.isend(None, 0, _ENDING)
            raise EndedError(code)

    def fail(self, text: str, code: int) -> None:
        """Let everybody end with this exit code; process 0 prints the text. Does not return."""
        try:
            answered = self._end_all(text, code) if self.rank == 0 else self._report(text, code)
        except EndedError as ended:
            os._exit(ended.code)
        except Exception:  # MPI itself is broken: what is left is to leave
            traceback.print_exc(file=self._errors)
            answered = False
        _flush()
        if not answered:
            MPI.COMM_WORLD.Abort(code)
        os._exit(code)

    def _report(self, text: str, code: int) -> bool:
        """Tell process 0, and wait for its order; if none comes, print the text here."""
        self._failures.isend((f"{self._names[self.rank]}: {text}", code), 0, _FAILED)
        until = time.monotonic() + 2 * _ANSWER
        while time.monotonic() < until:
            self._look()
            time.sleep(1e-3)
        self._errors.write(f"{self._names[self.rank]}: {text}\n")
        self._errors.flush()
        return False

    def _end_all(self, text: str, code: int) -> bool:
        """Print the text, order all to end and wait until they answer; tell whether all did."""
        sys.stderr.write(f"{text}\n")
        _flush()
        sent = [self._failures.isend(code, rank, _END) for rank in range(1, self.size)]
        until, missing = time.monotonic() + _ANSWER, self.size - 1
        while missing and time.monotonic() < until:
            for request in sent:
                request.Test()
            if self._failures.Iprobe(MPI.ANY_SOURCE, _ENDING):
                self._failures.recv(source=MPI.ANY_SOURCE, tag=_ENDING)
                missing -= 1
            else:
                time.sleep(1e-3)
        return missing == 0


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
