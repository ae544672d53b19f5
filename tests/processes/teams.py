"""What several processes run, as `mpiexec -n 5 python -m tests.processes.teams OUT CONFIG...`.

Each config is trained by teams of all sizes one after the other, in one start of the processes: OUT/<name>-<size>. A
team that is not the first goes on with what one of another size has left, where OUT/<name>-<size> is there already.
"""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path

from mpi4py import MPI

from cnntrain.config import load_config
from cnntrain.processes.mpi import MpiTeam
from cnntrain.runs.reporter import Reporter
from cnntrain.training.session import resume_run, start_run


def together() -> None:
    """Wait for all without keeping the cores busy, as MPI would."""
    request = MPI.COMM_WORLD.Ibarrier()
    while not request.Test():
        time.sleep(0.002)


def main(out: Path, configs: list[Path]) -> None:
    rank, most = MPI.COMM_WORLD.Get_rank(), MPI.COMM_WORLD.Get_size()
    for config in configs:
        for size in range(1, most + 1):
            world = MPI.COMM_WORLD.Split(0 if rank < size else 1, rank)
            folder = out / f"{config.parent.name}-{size}"
            if rank < size:
                team, reporter = MpiTeam(100, sys.stderr, world), Reporter(quiet=True)
                if team.from_first(folder.exists):
                    resume_run(folder, reporter, team=team)
                else:
                    start_run(load_config(config), reporter, out=folder, team=team)
            together()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
    except BaseException:
        traceback.print_exc()
        MPI.COMM_WORLD.Abort(3)
