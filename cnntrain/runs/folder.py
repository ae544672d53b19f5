"""A run folder: the files of one training, named once, never overwritten by another run."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cnntrain.errors import RunFolderError
from cnntrain.printable import printable
from cnntrain.runs.disk import make_folder
from cnntrain.runs.metrics_file import epochs_recorded

try:
    import fcntl
except ImportError:  # Windows has other locks; there the user must not continue a run twice at once
    fcntl = None  # type: ignore[assignment]

RUNS = Path("runs")
GOING = 2.0  # seconds in which a process that was killed may still hold its folder: its memory takes time to go
_STEP = re.compile(r"step-([0-9]{6,18})\.safetensors")
_LOGGED = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}.*  ")  # how lines of a log begin
# of a write that did not end
_LEFTOVER = re.compile(
    r"\.(?:(?:best|last|stopped|step-[0-9]+)\.safetensors|config\.yaml|metrics\.csv|log\.jsonl|environment\.json"
    r"|report\.html)\.[0-9]+\.tmp"
)


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
    def lines(self) -> Path:
        """One line per step and per epoch, if the config wants them."""
        return self.path / "log.jsonl"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's files, if the config wants them."""
        return self.path / "tensorboard"

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

    @property
    def report(self) -> Path:
        """The page that `train --report` keeps up to date."""
        return self.path / "report.html"

    @property
    def stopped(self) -> Path:
        """Checkpoint of the step after which a signal stopped the run; until a later one is safe."""
        return self.path / "stopped.safetensors"

    def at_step(self, step: int) -> Path:
        """Return the path of the checkpoint that is kept of a step."""
        return self.path / f"step-{step:06d}.safetensors"

    def kept_steps(self) -> list[int]:
        """Return the steps of which a checkpoint is kept, in order; raises `RunFolderError`."""
        try:
            found = (_STEP.fullmatch(entry.name) for entry in self.path.iterdir())
            steps = {int(match[1]): match[0] for match in found if match}
            return sorted(step for step, name in steps.items() if self.at_step(step).name == name)
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    def to_continue(self) -> list[Path]:
        """Return the checkpoints that a run can go on from, as far as they are there; raises `RunFolderError`."""
        kept = [self.at_step(step) for step in reversed(self.kept_steps())]
        return [path for path in (self.last, self.stopped, *kept) if path.is_file()]


def create_run_folder(name: str, out: Path | None = None) -> RunFolder:
    """Make a new, empty run folder.

    Parameters
    ----------
    name : str
        The run's name, fit for a folder (the config sees to that). Without `out` the folder is `runs/<name>-<n>` with
        the next free n.
    out : Path or None
        The folder itself; it must not exist, or hold nothing but what a run leaves that never finished an epoch.

    Raises
    ------
    RunFolderError
        The folder cannot be made, or `out` has something in it.
    """
    if out is None:
        return RunFolder(_next_free(RUNS, name))
    try:
        make_folder(out)
    except OSError as error:
        raise RunFolderError(f"{out}: cannot be made a run folder: {error.strerror or error}") from error
    folder = RunFolder(out)
    check_unfinished(folder)
    return folder


def is_unfinished(folder: RunFolder) -> bool:
    """Tell whether a folder is empty, or that of a run that finished no epoch."""
    return not _what_is_finished(folder)


def check_unfinished(folder: RunFolder) -> None:
    """Raise `RunFolderError` unless a folder is empty, or that of a run that finished no epoch."""
    others = _what_is_finished(folder)
    if others:
        raise RunFolderError(
            f"{folder.path}: is not empty (it has {printable(others[0])}); a run is never overwritten. Name a new "
            f"folder, or continue that run with --resume {folder.path}"
        )


def _what_is_finished(folder: RunFolder) -> list[str]:
    start = {folder.log.name}
    if _has_begun(folder):
        begun = (folder.config, folder.environment, folder.metrics, folder.lines, folder.tensorboard)
        start |= {path.name for path in begun}
    try:
        content = sorted(entry.name for entry in folder.path.iterdir())
    except OSError as error:
        raise RunFolderError(f"{folder.path}: cannot be made a run folder: {error.strerror or error}") from error
    others = [name for name in content if name not in start and not _LEFTOVER.fullmatch(name)]
    if not others and len(epochs_recorded(folder.metrics)) > 1:
        others = [folder.metrics.name]
    return others


def open_run_folder(path: Path) -> RunFolder:
    """Return an existing run folder that can go on: with a checkpoint, or of a run that was ended before its first.

    Raises
    ------
    RunFolderError
        It is no run folder, or its checkpoint is lost.
    """
    folder = RunFolder(path)
    if not path.is_dir():
        raise RunFolderError(f"{path}: there is no such run folder")
    if folder.to_continue():
        return folder
    if not (folder.config.is_file() and _has_begun(folder)):
        raise RunFolderError(f"{path}: has no {folder.last.name}: this is no run folder")
    if folder.best.exists() or len(epochs_recorded(folder.metrics)) > 1:
        raise RunFolderError(
            f"{path}: {folder.last.name} is lost: the run had finished an epoch, and cannot go on without it. "
            f"Train anew in another folder"
        )
    return folder


def _has_begun(folder: RunFolder) -> bool:
    """Tell a run's files from somebody's own of the same names: by its log, the first file of all."""
    try:
        with folder.log.open("rb") as file:
            return _LOGGED.match(file.read(40)) is not None
    except OSError:
        return False


@contextlib.contextmanager
def hold(folder: RunFolder) -> Iterator[None]:
    """Keep other processes from training in a folder; raises `RunFolderError` if one does.

    The lock is on the folder itself, so that no file in it can be removed with the lock; on the log too, for file
    systems that lock files alone. The operating system drops both with the process, however it ends. Leftovers of a
    process that was killed in the middle of a write are removed.
    """
    with contextlib.ExitStack() as held:
        try:
            if fcntl is not None:
                _lock(folder, os.open(folder.path, os.O_RDONLY), held)
            log = os.open(folder.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise RunFolderError(f"{folder.log}: cannot be written: {error.strerror or error}") from error
        _lock(folder, log, held)
        for leftover in folder.path.iterdir():
            if _LEFTOVER.fullmatch(leftover.name):
                with contextlib.suppress(OSError):
                    leftover.unlink()
        yield


def _lock(folder: RunFolder, descriptor: int, held: contextlib.ExitStack) -> None:
    held.callback(os.close, descriptor)
    until = time.monotonic() + GOING
    while fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise RunFolderError(f"{folder.path}: another process is training in this run folder") from None
            time.sleep(0.05)
            continue
        except OSError:
            pass  # some network file systems have no locks, or none on folders
        return


def find_checkpoint(path: Path) -> Path:
    """Return the checkpoint that a run folder (its best) or a file stands for; raises `RunFolderError` if none."""
    if path.is_dir():
        folder = RunFolder(path)
        if folder.best.is_file():
            return folder.best
        if folder.last.is_file():
            raise RunFolderError(
                f"{path}: {folder.best.name} is lost; there is {folder.last} of the last finished epoch. Name that file"
            )
        reason = "no epoch of this run was finished" if folder.config.is_file() else "this is no run folder"
        inside = folder.to_continue()
        if inside:
            reason += f"; there is {inside[0]} of a step inside it. Name that file"
        raise RunFolderError(f"{path}: has no {folder.best.name}: {reason}")
    if not path.exists():
        raise RunFolderError(f"{path}: there is no such run folder or checkpoint")
    return path


def _next_free(parent: Path, name: str) -> Path:
    pattern = re.compile(re.escape(name) + r"-([0-9]{1,18})")
    try:
        make_folder(parent)
        taken = (pattern.fullmatch(entry.name) for entry in parent.iterdir())
        number = 1 + max((int(match[1]) for match in taken if match), default=0)
        while True:
            path = parent / f"{name}-{number}"
            try:
                make_folder(path, new=True)  # fails if another process was quicker: that is what makes the number ours
                return path
            except FileExistsError:
                number += 1
    except OSError as error:
        reason = error.strerror or error
        raise RunFolderError(
            f"{parent.absolute()}: cannot make a run folder here: {reason}; name another place with --out"
        ) from error
