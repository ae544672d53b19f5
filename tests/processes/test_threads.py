"""Threads of a process: the cores that it may use, shared with those that may use the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.processes.started import HYDRA, MPIEXEC, environment, needs_mpi

pytestmark = needs_mpi

PROGRAM = """
import os
from cnntrain.processes.launch import join
team = join()
found = []
for cores in CASES:
    if cores is not None:
        os.sched_getaffinity = lambda _: cores[team.rank]
    found.append(team.gather(team.threads()))
if team.rank == 0:
    print(found)
"""


def threads(processes: int, cases: str, *before: str, limit: str | None = None, launcher: tuple[str, ...] = ()) -> str:
    variables = environment()
    del variables["NUMBA_NUM_THREADS"]
    if limit is not None:
        variables["NUMBA_NUM_THREADS"] = limit
    program = [sys.executable, "-c", PROGRAM.replace("CASES", cases)]
    started = [*before, str(MPIEXEC), *launcher, "-n", str(processes), *program]
    ended = subprocess.run(started, capture_output=True, text=True, env=variables, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.strip()


def test_cores_are_shared_by_those_that_may_use_them() -> None:
    """As if the machine had more cores than it has."""
    cases = "[[range(8)] * 3, [range(2)] * 3, [range(4), range(4), range(4, 12)], [{0}, {1}, {1}], [range(0)] * 3]"
    cores = max((os.cpu_count() or 1) // 3, 1)
    assert threads(3, cases) == f"[[2, 2, 2], [1, 1, 1], [2, 2, 8], [1, 1, 1], [{cores}, {cores}, {cores}]]"


def test_the_variable_of_numba_limits_them() -> None:
    assert threads(2, "[[range(8)] * 2]", limit="3") == "[[3, 3]]"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_bindings_are_respected() -> None:
    cores = sorted(os.sched_getaffinity(0))
    if shutil.which("taskset") is None:
        pytest.skip("there is no taskset")
    assert threads(2, "[None]", "taskset", "-c", str(cores[0])) == "[[1, 1]]"
    if HYDRA and len(cores) > 1:
        assert threads(2, "[None]", launcher=("-bind-to", "core")) == "[[1, 1]]"
    assert threads(2, "[None]") == f"[[{max(len(cores) // 2, 1)}, {max(len(cores) // 2, 1)}]]"
