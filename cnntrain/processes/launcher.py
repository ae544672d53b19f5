"""What is asked of the launcher, before MPI can be: to end all processes. And who asks, while others enter MPI."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from typing import TextIO

HEARD = 0.5  # seconds in which a launcher passes on what was said: MPICH's forgets it when it ends all
LATER = 2.0  # seconds after process 0 in which another process speaks, if it still has to


def ask_to_end(code: int) -> None:
    """Ask the launcher to end all, in the words of PMI 1; others than MPICH's end all with the first that fails."""
    try:
        channel = int(os.environ["PMI_FD"])
        os.write(channel, f"cmd=init pmi_version=1 pmi_subversion=1\ncmd=abort exitcode={code}\n".encode())
    except (KeyError, ValueError, OSError):
        return
    time.sleep(1.0)  # the launcher's answer: it ends this process too


def turn_of(rank: int) -> float:
    """Return after how many seconds a process says what another may have said already."""
    return LATER + min(rank, 10) if rank else 0.0


@contextlib.contextmanager
def entering(rank: int, seconds: float, errors: TextIO) -> Iterator[None]:
    """End all if this process does not come through within seconds: one that never entered MPI is waited for for ever.

    Inside MPI no thread and no handler of signals of this process runs, so a second process watches.
    """
    if not hasattr(os, "fork"):
        yield
        return
    reader, writer = os.pipe()
    parent, watcher = os.getpid(), os.fork()
    if watcher == 0:
        try:
            os.close(writer)
            _watch(reader, parent, rank, seconds, errors)
        finally:
            os._exit(0)
    os.close(reader)
    try:
        yield
    finally:
        os.close(writer)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(watcher, 0)


def _watch(reader: int, parent: int, rank: int, seconds: float, errors: TextIO) -> None:
    """Wait until the other end is closed: by the process that is watched, or with it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the end of the process that is watched ends this one
    if select.select([reader], [], [], seconds + turn_of(rank))[0]:
        return
    text = (
        f"process {rank}: not all processes have entered MPI within {seconds:g} s: one may have ended with an error "
        "of its own (cnntrain or a package missing there?), or start slowly; --patience SECONDS lets the others wait\n"
    )
    with contextlib.suppress(OSError):
        os.write(errors.fileno(), text.encode())
    time.sleep(HEARD)
    ask_to_end(2)
    os.kill(parent, signal.SIGKILL)
