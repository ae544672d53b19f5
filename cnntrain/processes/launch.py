"""Whether this process is one of several that an MPI launcher started, and joining them."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TextIO

from cnntrain.errors import ArgumentError
from cnntrain.processes.launcher import entering
from cnntrain.processes.team import ALONE, Team

PATIENCE = 600.0  # seconds without a sign of another process, after which a training is given up
ENTERING = 120.0  # seconds within which all must have started
# rank and number of processes, as launchers say it: MPICH, Intel MPI and Slurm's PMI; Open MPI; MVAPICH; srun
_VARIABLES = (
    ("PMI_RANK", "PMI_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
_team: list[Team] = []
_loud: list[TextIO] = []  # stderr as it was before this process fell silent


class Launch(NamedTuple):
    """Which process of how many this is, as the launcher says."""

    rank: int
    size: int


def launched() -> Launch | None:
    """Return what the launcher says of this process; None where there is none, or it started one process only."""
    for rank, size in _VARIABLES:
        try:
            found = Launch(int(os.environ[rank]), int(os.environ[size]))
        except (KeyError, ValueError):
            continue
        if found.size > 1 and 0 <= found.rank < found.size:
            return found
    return None


def joined() -> Team:
    """Return the team that this process has joined; a team of one until then."""
    return _team[0] if _team else ALONE


def speak_once() -> None:
    """Let process 0 alone be heard: what all print, help or a mistake on the command line, is there once."""
    launch = launched()
    if launch is None or launch.rank == 0 or _loud:
        return
    _loud.append(os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace"))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):  # also what does not go through Python's streams
        os.dup2(nowhere, number)
    os.close(nowhere)


def errors() -> TextIO:
    """Return where a process prints what process 0 cannot print for it."""
    return _loud[0] if _loud else sys.stderr


def join() -> Team:
    """Join the processes that were started together with this one; in one that was started alone do nothing.

    All but process 0 are silent from then on.

    Raises
    ------
    ArgumentError
        mpi4py is not installed, finds no MPI, or belongs to another one than the launcher; or the processes were
        started with different arguments.
    """
    launch = launched()
    if launch is None or _team:
        return joined()
    if find_spec("mpi4py") is None:
        raise ArgumentError(
            f"started as one of {launch.size} processes, for which mpi4py is needed: pip install 'cnntrain[mpi]' "
            "(or mpi4py alone, built against the cluster's MPI)"
        )
    speak_once()
    with entering(launch.rank, _patience_of_entering(), errors()):
        try:
            from cnntrain.processes.mpi import MpiTeam
        except (ImportError, RuntimeError, OSError) as error:
            raise ArgumentError(
                f"started as one of {launch.size} processes, but mpi4py cannot be used: {error}\n"
                "It needs an MPI library, the one that the launcher belongs to"
            ) from error
        team = MpiTeam(PATIENCE, errors())
    if team.size != launch.size:
        raise ArgumentError(
            f"the launcher started {launch.size} processes, but mpi4py's MPI library sees {team.size}: they belong to "
            f"different installations. Use the mpiexec of that library ({team.library})"
        )
    _team.append(team)
    _agree_on_arguments(team)
    return team


def _patience_of_entering() -> float:
    """Return how long all may take to start; a larger --patience counts, which is not parsed yet."""
    given = [argument.removeprefix("--patience=") for argument in sys.argv if argument.startswith("--patience=")]
    given += [after for option, after in pairwise(sys.argv) if option == "--patience"]
    try:
        return max(ENTERING, *map(float, given))
    except (TypeError, ValueError):
        return ENTERING


def _agree_on_arguments(team: Team) -> None:
    """See to it that all do the same: what they exchange would not fit together otherwise."""
    from cnntrain.processes.agreement import agree

    # where a file lies may differ from machine to machine; what is in it is compared later
    arguments = ("(a file)" if Path(argument).is_file() else argument for argument in sys.argv[1:])
    agree(team, {"arguments": " ".join(arguments)})


def refuse_several(command: str) -> None:
    """Raise `ArgumentError` where several processes were started for what one does."""
    launch = launched()
    if launch is not None:
        raise ArgumentError(
            f"cnntrain {command} runs in one process, and {launch.size} were started; "
            "train, eval, predict and reproduce share their work"
        )
