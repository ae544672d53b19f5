"""A team over MPI (mpi4py): every wait looks for failures of others, so that none waits for one that is gone.

Messages about failures have a communicator of their own. A process that cannot go on tells process 0, which prints the
message and lets the others end; each answers when it has put its things away. Who does not answer within seconds is
ended by the launcher, and so are all if process 0 does not answer.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn, TextIO

import mpi4py
import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import TrainingError
from cnntrain.processes.launcher import HEARD
from cnntrain.processes.team import EndedError, OtherFailedError, Team, Value

mpi4py.rc.thread_level = "funneled"  # only the main thread speaks to the others

from mpi4py import MPI  # noqa: E402 (reads what was set above)

_FAILED, _END, _ENDING = 1, 2, 3  # tags: a failure's text to process 0, the order to end, its answer
_ANSWER = 3.0  # seconds in which processes answer an order to end
_LEAVE = 2 * _ANSWER  # seconds after its answer in which process 0 ends all; then a process goes by itself
_BUSY = 2000  # polls before a wait gives the core away between two
_LOOK = 64  # polls between two looks for failures


class MpiTeam(Team):
    """The processes of MPI's world, or of a part of it.

    Parameters
    ----------
    patience : float
        Seconds that a process waits for others before it gives up.
    errors : file
        Where a process other than the first prints what the first cannot.
    world : MPI.Comm or None
        Its processes; None takes all that were started.

    Attributes
    ----------
    patience : float
    """

    def __init__(self, patience: float, errors: TextIO, world: MPI.Comm | None = None) -> None:
        world = MPI.COMM_WORLD if world is None else world
        self.patience, self._errors = patience, errors
        self._sums, self._failures = world.Dup(), world.Dup()
        self.rank, self.size = world.Get_rank(), world.Get_size()
        self._machine = world.Split_type(MPI.COMM_TYPE_SHARED)
        self._names = [f"process {self.rank}"] * self.size
        self._names = [f"process {rank} ({host})" for rank, host in enumerate(self.gather(MPI.Get_processor_name()))]
        first = np.array([os.getpid()], np.int64)
        self._finish(self._machine.Ibcast(first, 0))
        self._first_pid = int(first[0])  # of the machine

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
        # compiling or decoding may take long: as long as that process lives, it is waited for
        self._wait(self._machine.Ibarrier().Test, "the first process on this machine", lambda: _runs(self._first_pid))
        return make()

    def threads(self) -> int | None:
        mine = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        machine = self._machine.Get_rank(), self._first_on_machine()
        others = [cores for cores, (_, first) in self.gather((mine, machine)) if first == machine[1]]
        fitting = max((len(mine) or os.cpu_count() or 1) // others.count(mine), 1)
        limit = os.environ.get("NUMBA_NUM_THREADS", "")
        return min(fitting, int(limit)) if limit.isdecimal() and int(limit) else fitting

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

    # --- waiting ---

    def _finish(self, request: Any) -> None:
        self.wait(request.Test, "the others")

    def wait(self, done: Callable[[], bool], what: str) -> None:
        self._wait(done, what, lambda: False)

    def _wait(self, done: Callable[[], bool], what: str, works: Callable[[], bool]) -> None:
        """Wait; beyond the patience too, where `works` tells that there is something to wait for."""
        try:
            self._poll(done, what, works)
        except MPI.Exception as error:
            raise TrainingError(f"{self._names[self.rank]}: no connection to {what}: {error}") from error

    def _poll(self, done: Callable[[], bool], what: str, works: Callable[[], bool]) -> None:
        polls, began = 0, 0.0
        while not done():
            polls += 1
            if polls % _LOOK == 0:
                self._look()
                now = time.monotonic()
                began = began or now
                if now - began > self.patience:
                    if not works():
                        raise TrainingError(
                            f"no answer from {what} for {self.patience:g} s; the processes end. "
                            "--patience SECONDS lets them wait longer"
                        )
                    began = now
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
            raise EndedError(self._failures.recv(source=0, tag=_END))

    # --- failing ---

    def fail(self, text: str, code: int) -> None:
        """Let everybody end with this exit code; process 0 prints the text. Does not return."""
        try:
            if self.rank:
                self._report(text, code)
            else:
                self._end_all(text, code)
        except EndedError as ended:
            self.leave(ended.code)
        except Exception:  # MPI itself is broken: what is left is to leave
            traceback.print_exc(file=self._errors)
            self.abort(code)

    def _report(self, text: str, code: int) -> NoReturn:
        """Tell process 0, and wait for its order; if none comes, print the text here."""
        text = f"{self._names[self.rank]}: {text}"
        sent = self._failures.isend((text, code), 0, _FAILED)
        until = time.monotonic() + 2 * _ANSWER + min(self.rank, 10)  # one after the other: the first ends all
        while time.monotonic() < until:
            sent.Test()
            self._look()
            time.sleep(1e-3)
        self._errors.write(f"{text}\n(no answer from {self._names[0]} either)\n")
        self.abort(code)

    def _end_all(self, text: str, code: int) -> NoReturn:
        """Print the text, order all to end and wait until they answer."""
        sys.stderr.write(f"{text}\n")
        _flush()
        missing = set(range(1, self.size))
        sent = [self._failures.isend(code, rank, _END) for rank in missing]
        until = time.monotonic() + _ANSWER
        while missing and time.monotonic() < until:
            for request in sent:
                request.Test()
            if self._failures.Iprobe(MPI.ANY_SOURCE, _ENDING):
                missing.remove(self._failures.recv(source=MPI.ANY_SOURCE, tag=_ENDING))
            else:
                time.sleep(1e-3)
        if missing:
            silent = ", ".join(self._names[rank] for rank in sorted(missing)[:5])
            sys.stderr.write(f"ended without an answer: {silent}{', ...' if len(missing) > 5 else ''}\n")
        self.abort(code)  # from those that have answered too: so the launcher has one exit code, and few words

    def leave(self, code: int) -> None:
        """Answer the order to end, when everything is put away, and end. Does not return."""
        sent = self._failures.isend(self.rank, 0, _ENDING)
        until = time.monotonic() + _LEAVE  # process 0 ends all
        while time.monotonic() < until:
            sent.Test()
            time.sleep(1e-3)
        os._exit(code)

    def abort(self, code: int) -> NoReturn:
        """End all processes here and now. What is to be said has been said: MPI's own words go nowhere."""
        _flush()
        self._errors.flush()
        time.sleep(HEARD)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        MPI.COMM_WORLD.Abort(code)
        os._exit(code)


def _runs(pid: int) -> bool:
    """Tell whether a process of this machine is there and not stopped; where that cannot be seen, it is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] in ("R", "S", "D")
    except (OSError, IndexError):
        return False


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
