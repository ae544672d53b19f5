"""Waiting for another process: as long as it works, on the same machine."""

from __future__ import annotations

import subprocess
import sys

from tests.processes.started import MPIEXEC, environment, needs_mpi

pytestmark = needs_mpi

PROGRAM = """
import os, time
from cnntrain.processes.launch import join
from cnntrain.processes.mpi import _runs
team = join()
team.patience = 0.5
made = team.first_on_machine(lambda: (time.sleep(2 * (team.rank == 0)), team.rank)[1])
assert made == team.rank
assert team.from_first(lambda: team.names()) == team.names()
if team.rank == 1:
    assert _runs(os.getpid())
    assert not _runs(2**30)
"""


def test_beyond_its_patience_for_one_that_works() -> None:
    """Compiling and decoding may take longer than anything else."""
    ended = subprocess.run(
        [str(MPIEXEC), "-n", "2", sys.executable, "-c", PROGRAM],
        capture_output=True, text=True, env=environment(), timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
