"""Several processes, started by MPI's launcher as a user starts them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.reliability.processes import AS_IN_A_TERMINAL, REPO, end, wait_for

TORTURE = int(os.environ.get("CNNTRAIN_TORTURE") or 0)
MPIEXEC = next(
    (
        found
        for folder in (Path(sys.executable).parent, None)
        if (found := shutil.which("mpiexec", path=None if folder is None else str(folder)))
    ),
    None,
)


def _why_not() -> str | None:
    if find_spec("mpi4py") is None:
        return "mpi4py is not installed"
    return "there is no mpiexec" if MPIEXEC is None else None


WHY_NOT = _why_not()
needs_mpi = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

# Says something of hydra's own: its exit codes and how it passes signals on.
HYDRA = (
    WHY_NOT is None
    and "HYDRA" in subprocess.run([str(MPIEXEC), "--version"], capture_output=True, text=True, check=False).stdout
)
needs_hydra = pytest.mark.skipif(not HYDRA, reason=WHY_NOT or "mpiexec is not MPICH's hydra")


class Ended(NamedTuple):
    """How the processes ended; of the launcher's own lines only what is no banner."""

    code: int
    output: str
    messages: str
    seconds: float


def command(processes: int, *arguments: str | Path, first: str = "", launcher: tuple[str, ...] = ()) -> list[str]:
    """Return the command that starts `cnntrain` several times.

    `first` is Python code that runs before it in each process; `rank` is which one that is.
    """
    program = (
        f"{AS_IN_A_TERMINAL}\nimport os\nrank = int(os.environ.get('PMI_RANK') or os.environ['OMPI_COMM_WORLD_RANK'])\n"
        f"{first}\nfrom cnntrain.__main__ import run\nrun()"
    )
    return [str(MPIEXEC), *launcher, "-n", str(processes), sys.executable, "-c", program, *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """Return the environment in which processes are started; Open MPI asks for leave to do what tests do."""
    own = {"PYTHONPATH": str(REPO), "NUMBA_NUM_THREADS": "1"}
    leave = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe")
    return {**os.environ, **dict.fromkeys(leave, "1"), **own, **more}


class Started:
    """Processes that run.

    Parameters
    ----------
    processes : int
    *arguments
        Of `cnntrain`.
    first : str
        See `command`.
    launcher : tuple of str
        More arguments for mpiexec.
    cwd : Path or None
    """

    def __init__(
        self,
        processes: int,
        *arguments: str | Path,
        first: str = "",
        launcher: tuple[str, ...] = (),
        cwd: Path | None = None,
    ) -> None:
        pipe: Any = subprocess.PIPE
        self.process = subprocess.Popen(
            command(processes, *arguments, first=first, launcher=launcher),
            stdout=pipe, stderr=pipe, stdin=subprocess.DEVNULL, text=True, cwd=cwd, env=environment(),
        )  # fmt: skip
        self.began = time.monotonic()
        self._seen: set[int] = set()

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self._seen |= set(self.pids().values())
        end(self.process)
        for pid in self._seen:
            if _is_there(pid):
                os.kill(pid, 9)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds."""
        wait_for(condition, self.process)
        self._seen |= set(self.pids().values())

    def pids(self) -> dict[int, int]:
        """Return the process of each rank."""
        found: dict[int, int] = {}
        for pid in _below(self.process.pid):
            try:
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            for variable in variables:
                name, _, value = variable.partition(b"=")
                if name in (b"PMI_RANK", b"OMPI_COMM_WORLD_RANK"):
                    found.setdefault(int(value), pid)
        return found

    def kill(self, rank: int, number: int) -> None:
        """Send a signal to one of the processes; the time is taken from here on."""
        self.began = time.monotonic()
        os.kill(self.pids()[rank], number)

    def ended(self, seconds: float = 60) -> Ended:
        """Wait for all to end: the launcher, and each that it started."""
        limit = self.began + seconds
        while self.process.poll() is None:  # it says little: no pipe gets full
            self._seen |= set(self.pids().values())
            assert time.monotonic() < limit, "the processes do not end"
            time.sleep(0.05)
        output, messages = self.process.communicate()
        took = time.monotonic() - self.began
        limit = time.monotonic() + 10
        while any(map(_is_there, self._seen)):
            assert time.monotonic() < limit, "the launcher has left processes behind"
            time.sleep(0.01)
        return Ended(self.process.returncode, _without_banner(output), _without_banner(messages), took)


def run(processes: int, *arguments: str | Path, first: str = "", cwd: Path | None = None) -> Ended:
    """Start `cnntrain` several times and wait for the end."""
    with Started(processes, *arguments, first=first, cwd=cwd) as started:
        return started.ended(120)


def _is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def _below(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [each for child in children for each in (child, *_below(child))]


def _without_banner(text: str) -> str:
    """Leave out what hydra says when a process is killed, or when it passes Ctrl-C on."""
    lines = text.splitlines(keepends=True)
    own = ("=", "YOUR APPLICATION", "This typically refers", "Please see the FAQ", "[mpiexec@")
    return "".join(line for line in lines if not line.startswith(own)).strip("\n")
