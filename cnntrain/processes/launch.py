"""Whether this process is one of several that an MPI launcher started, and joining them."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import NamedTuple

from cnntrain.errors import ArgumentError
from cnntrain.processes.team import ALONE, Team

PATIENCE = 600.0  # seconds without a sign of another process, after which a training is given up
# rank and number of processes, as launchers say it: MPICH, Intel MPI and Slurm's PMI; Open MPI; MVAPICH; srun
_VARIABLES = (
    ("PMI_RANK", "PMI_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
_team: list[Team] = []


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


def join() -> Team:
    """Join the processes that were started together with this one; in one that was started alone do nothing.

    All but process 0 are silent from then on.

    Raises
    ------
    ArgumentError
        mpi4py is not installed, or belongs to another MPI than the launcher.
    """
    launch = launched()
    if launch is None or _team:
        return joined()
    if find_spec("mpi4py") is None:
        raise ArgumentError(
            f"started as one of {launch.size} processes, for which mpi4py is needed: pip install 'cnntrain[mpi]' "
            "(or mpi4py alone, built against the cluster's MPI)"
        )
    from cnntrain.processes.mpi import MpiTeam

    team = MpiTeam(PATIENCE)
    if team.size != launch.size:
        raise ArgumentError(
            f"the launcher started {launch.size} processes, but mpi4py's MPI library sees {team.size}: they belong to "
            f"different installations. Use the mpiexec of that library ({team.library})"
        )
    _team.append(team)
    if not team.writes:
        _be_silent()
    return team


def _be_silent() -> None:
    """Send what this process prints nowhere, also what does not go through Python's streams."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)


def refuse_several(command: str) -> None:
    """Raise `ArgumentError` in process 0, and end the others, where several were started for what one does."""
    launch = launched()
    if launch is None:
        return
    if launch.rank > 0:
        os._exit(ArgumentError.exit_code)
    raise ArgumentError(
        f"cnntrain {command} runs in one process, and {launch.size} were started; "
        "train, eval, predict and reproduce share their work"
    )
