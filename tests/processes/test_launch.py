"""What launchers say of a process, and what one does that cannot join the others."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time

import pytest

from cnntrain.errors import ArgumentError
from cnntrain.processes import ending, launch
from cnntrain.processes.launch import Launch, join, joined, launched, refuse_several
from cnntrain.processes.team import ALONE

NAMES = [name for pair in launch._VARIABLES for name in pair] + ["PMI_FD"]


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def say(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("variables", "expected"), [
    ({}, None),
    ({"PMI_RANK": "2", "PMI_SIZE": "4"}, Launch(2, 4)),  # MPICH, Intel MPI, srun --mpi=pmi2
    ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "3"}, Launch(0, 3)),  # Open MPI
    ({"MV2_COMM_WORLD_RANK": "1", "MV2_COMM_WORLD_SIZE": "2"}, Launch(1, 2)),  # MVAPICH
    ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}, Launch(1, 2)),  # srun
    ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, None),  # sbatch's own script, which is one process
    ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, None),
    ({"PMI_RANK": "0", "PMI_SIZE": "1"}, None),  # mpiexec -n 1
    ({"PMI_RANK": "0", "PMI_SIZE": "1", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, Launch(1, 2)),
    ({"PMI_RANK": "1"}, None),
    ({"PMI_RANK": "4", "PMI_SIZE": "4"}, None),
    ({"PMI_RANK": "-1", "PMI_SIZE": "4"}, None),
    ({"PMI_RANK": "one", "PMI_SIZE": "4"}, None),
    ({"PMI_RANK": "", "PMI_SIZE": ""}, None),
])  # fmt: skip
def test_what_a_launcher_says(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: Launch | None
) -> None:
    say(monkeypatch, **variables)
    assert launched() == expected


def test_one_process_joins_nobody() -> None:
    assert join() is ALONE
    assert joined() is ALONE


def test_mpi4py_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, PMI_RANK="1", PMI_SIZE="4")
    monkeypatch.setattr(launch, "find_spec", lambda name: None)
    with pytest.raises(ArgumentError, match=r"one of 4 processes, for which mpi4py is needed: pip install 'cnntrain"):
        join()


def test_mpi4py_finds_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, PMI_RANK="1", PMI_SIZE="4")

    class NoLibrary:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "cnntrain.processes.mpi":
                raise RuntimeError("cannot load MPI library")

    monkeypatch.setattr(launch, "find_spec", lambda name: "there")
    monkeypatch.delitem(sys.modules, "cnntrain.processes.mpi", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoLibrary(), *sys.meta_path])
    with pytest.raises(ArgumentError, match="mpi4py cannot be used: cannot load MPI library"):
        join()


def test_commands_of_one_process_refuse_several(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_several("check")
    say(monkeypatch, SLURM_PROCID="0", SLURM_STEP_NUM_TASKS="3")
    with pytest.raises(ArgumentError, match="cnntrain check runs in one process, and 3 were started"):
        refuse_several("check")


class Left(Exception):  # noqa: N818 (stands for the end of the process)
    pass


@pytest.fixture
def given_up(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Let a process that gives up raise its exit code, and return what it says."""
    stream = io.StringIO()

    def leave(code: int) -> None:
        raise Left(code)

    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(ending, "errors", lambda: stream)
    monkeypatch.setattr(time, "sleep", lambda seconds: stream.write(f"[{seconds:g} s]"))
    return stream


def test_where_one_is_alone_nothing_happens(given_up: io.StringIO) -> None:
    ending.fail("text", 2)
    ending.end_all(2)
    ending.leave_early(2)
    assert given_up.getvalue() == ""


def test_process_0_speaks_for_all(
    monkeypatch: pytest.MonkeyPatch, given_up: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    say(monkeypatch, PMI_RANK="0", PMI_SIZE="4")
    with pytest.raises(Left, match="2"):
        ending.fail("no command of that name", 2)
    assert capsys.readouterr().err == "no command of that name\n"
    assert given_up.getvalue() == "[0.5 s]"  # in which the launcher passes it on


def test_another_speaks_only_if_process_0_does_not(monkeypatch: pytest.MonkeyPatch, given_up: io.StringIO) -> None:
    """It waits first: what process 0 has to say too ends all before."""
    say(monkeypatch, PMI_RANK="3", PMI_SIZE="4")
    with pytest.raises(Left, match="2"):
        ending.fail("mpi4py is needed", 2)
    assert given_up.getvalue() == "[5 s]process 3: mpi4py is needed\n[0.5 s]"
    with pytest.raises(Left, match="7"):
        ending.leave_early(7)
    assert given_up.getvalue().endswith("process 3: ended with code 7, by itself\n[0.5 s]")
    ending.leave_early(0)  # help, for example


def test_the_launcher_is_asked_to_end_the_others(monkeypatch: pytest.MonkeyPatch, given_up: io.StringIO) -> None:
    reader, writer = os.pipe()
    say(monkeypatch, PMI_RANK="1", PMI_SIZE="2", PMI_FD=str(writer))
    with pytest.raises(Left):
        ending.fail("text", 2)
    os.close(writer)
    with os.fdopen(reader) as said:
        assert said.read() == "cmd=init pmi_version=1 pmi_subversion=1\ncmd=abort exitcode=2\n"


def test_all_but_process_0_are_silent() -> None:
    program = (
        "import os, sys\nfrom cnntrain.processes import launch\nlaunch.speak_once()\nlaunch.speak_once()\n"
        "print('out', flush=True)\nprint('error', file=sys.stderr, flush=True)\nos.write(2, b'below')\n"
        "launch.errors().write('loud')"
    )
    for rank, expected in (("0", ("out\n", "error\nbelowloud")), ("1", ("", "loud"))):
        environment = {**os.environ, "PMI_RANK": rank, "PMI_SIZE": "2"}
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=True)
        assert (ended.stdout.decode(), ended.stderr.decode()) == expected
