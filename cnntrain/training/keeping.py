"""Checkpoints on the way: when one is due, which ones stay, and the one of a run that was stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from cnntrain.config.course import CheckpointSettings
from cnntrain.errors import CheckpointError
from cnntrain.runs.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from cnntrain.runs.disk import remove
from cnntrain.runs.folder import RunFolder


class Keeper:
    """Writes `step-000500.safetensors` and `stopped.safetensors`, and removes those that are no longer needed.

    Parameters
    ----------
    folder : RunFolder
    settings : CheckpointSettings or None
        None keeps nothing but what a signal stopped.
    steps_per_epoch : int

    Attributes
    ----------
    newest : tuple of int and Path, or None
        Step and file of the newest checkpoint.
    """

    def __init__(self, folder: RunFolder, settings: CheckpointSettings | None, steps_per_epoch: int) -> None:
        self._folder, self._settings = folder, settings
        self._steps = settings.steps(steps_per_epoch) if settings else None
        self._seconds = settings.seconds if settings else math.inf
        self._written = time.monotonic()
        self.newest: tuple[int, Path] | None = None

    def due(self, step: int) -> bool:
        """Tell whether a checkpoint is to be kept after this many steps."""
        if self._steps is not None:
            return step % self._steps == 0
        return time.monotonic() - self._written >= self._seconds

    def keep(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint under its step's name; then, and not before, remove the oldest that is too many."""
        assert self._settings is not None  # or nothing would be due
        self._write(self._folder.at_step(checkpoint.metadata.progress.step), checkpoint)
        self.clear()
        if self._settings.keep is not None:
            for step in self._folder.kept_steps()[: -self._settings.keep]:
                remove(self._folder.at_step(step))

    def at_a_row(self, last: Checkpoint) -> None:
        """Take notice that `last.safetensors` was written, at the end of an epoch; keep it too if it is due."""
        step = last.metadata.progress.step
        if self.due(step):
            self.keep(last)
        self.newest = step, self._folder.last
        self.clear()

    def stop(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint of a run that is being stopped."""
        self._write(self._folder.stopped, checkpoint)

    def clear(self) -> None:
        """Remove the checkpoint of an earlier stop: a later one is safe."""
        remove(self._folder.stopped)

    def _write(self, path: Path, checkpoint: Checkpoint) -> None:
        save_checkpoint(path, checkpoint)
        self._written = time.monotonic()
        self.newest = checkpoint.metadata.progress.step, path


def newest_checkpoint(
    folder: RunFolder, warn: Callable[[str], None], *, aside: bool = True
) -> tuple[Path, Checkpoint] | None:
    """Return the checkpoint with the most steps that is whole; None if the run has none yet.

    Those that are damaged are named and, if `aside`, given another name, but `last.safetensors`.

    Raises
    ------
    CheckpointError
        There are some, and none is whole.
    """
    found: list[tuple[Path, Checkpoint]] = []
    damaged: dict[Path, CheckpointError] = {}
    for path in folder.to_continue():
        checkpoint = _whole(path)
        if isinstance(checkpoint, CheckpointError):
            damaged[path] = checkpoint
        else:
            found.append((path, checkpoint))
    if not found:
        if damaged:
            raise next(iter(damaged.values()))
        return None
    newest = max(found, key=lambda item: item[1].metadata.progress.step)  # of equals the first
    for path, problem in damaged.items():
        warn(f"{problem}\nGoing on from {newest[0].name}")
        if aside and path != folder.last:
            path.replace(path.with_name(f"{path.name}.damaged"))
    return newest


def _whole(path: Path) -> Checkpoint | CheckpointError:
    """Return a checkpoint, or what is wrong with its file."""
    try:
        return read_checkpoint(path)
    except CheckpointError as error:
        return error
