"""A run folder: the files of one training, named once, never overwritten by another run."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cnntrain.errors import RunFolderError

try:
    import fcntl
except ImportError:  # Windows has other locks; there the user must not continue a run twice at once
    fcntl = None  # type: ignore[assignment]

RUNS = Path("runs")


@dataclass(frozen=True)
class RunFolder:
    """Where a run's files are. Making one with `create_run_folder` or `open_run_folder` checks the folder."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config: every default written out."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """One row per epoch."""
        return self.path / "metrics.csv"

    @property
    def log(self) -> Path:
        """What was printed, with times."""
        return self.path / "log.txt"

    @property
    def environment(self) -> Path:
        """Versions, processor and threads of every process that trained here."""
        return self.path / "environment.json"

    @property
    def best(self) -> Path:
        """Checkpoint of the best epoch; the network alone."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """Checkpoint of the last finished epoch; with everything that continuing needs."""
        return self.path / "last.safetensors"


def create_run_folder(name: str, out: Path | None = None) -> RunFolder:
    """Make a new, empty run folder.

    Parameters
    ----------
    name : str
        The run's name, fit for a folder (the config sees to that). Without `out` the folder is `runs/<name>-<n>` with
        the next free n.
    out : Path or None
        The folder itself; it must not exist, or be empty.

    Raises
    ------
    RunFolderError
        The folder cannot be made, or `out` has something in it.
    """
    if out is None:
        return RunFolder(_next_free(RUNS, name))
    try:
        out.mkdir(parents=True, exist_ok=True)
        content = next(out.iterdir(), None)
    except OSError as error:
        raise RunFolderError(f"{out}: cannot be made a run folder: {error.strerror or error}") from error
    if content is not None:
        raise RunFolderError(
            f"{out}: is not empty (it has {content.name}); a run is never overwritten. Name a new folder, "
            f"or continue that run with --resume {out}"
        )
    return RunFolder(out)


def open_run_folder(path: Path) -> RunFolder:
    """Return an existing run folder in which at least one epoch was finished; raises `RunFolderError` otherwise."""
    folder = RunFolder(path)
    if not path.is_dir():
        raise RunFolderError(f"{path}: there is no such run folder")
    if not folder.last.is_file():
        reason = "no epoch of this run was finished" if folder.config.is_file() else "this is no run folder"
        raise RunFolderError(f"{path}: has no {folder.last.name}: {reason}")
    return folder


@contextlib.contextmanager
def hold(folder: RunFolder) -> Iterator[None]:
    """Keep other processes from training in a folder; raises `RunFolderError` if one does.

    The operating system drops the lock with the process, however it ends. Leftovers of a process that was killed in
    the middle of a write are removed.
    """
    try:
        file = folder.log.open("a")
    except OSError as error:
        raise RunFolderError(f"{folder.log}: cannot be written: {error.strerror or error}") from error
    with file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunFolderError(f"{folder.path}: another process is training in this run folder") from error
        except OSError:
            pass  # some network file systems have no locks
        for leftover in folder.path.glob(".*.tmp"):
            with contextlib.suppress(OSError):
                leftover.unlink()
        yield


def find_checkpoint(path: Path) -> Path:
    """Return the checkpoint that a run folder (its best) or a file stands for; raises `RunFolderError` if none."""
    if path.is_dir():
        best = RunFolder(path).best
        if best.is_file():
            return best
        reason = "no epoch of this run was finished" if RunFolder(path).config.is_file() else "this is no run folder"
        raise RunFolderError(f"{path}: has no {best.name}: {reason}")
    if not path.exists():
        raise RunFolderError(f"{path}: there is no such run folder or checkpoint")
    return path


def _next_free(parent: Path, name: str) -> Path:
    pattern = re.compile(re.escape(name) + r"-(\d+)")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        taken = (pattern.fullmatch(entry.name) for entry in parent.iterdir())
        number = 1 + max((int(match[1]) for match in taken if match), default=0)
        while True:
            path = parent / f"{name}-{number}"
            try:
                path.mkdir()  # fails if another process was quicker: that is what makes the number ours
                return path
            except FileExistsError:
                number += 1
    except OSError as error:
        reason = error.strerror or error
        raise RunFolderError(
            f"{parent.absolute()}: cannot make a run folder here: {reason}; name another place with --out"
        ) from error
