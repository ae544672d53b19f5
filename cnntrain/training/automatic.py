"""`--resume auto`: start a run, or go on with the one that there is; one line for a job script that is run again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cnntrain.config import Config, load_config
from cnntrain.errors import RunFolderError
from cnntrain.processes.team import ALONE, Team
from cnntrain.runs.checkpoint import Metadata
from cnntrain.runs.folder import RUNS, RunFolder, is_unfinished
from cnntrain.runs.reporter import Reporter
from cnntrain.training.early_stopping import EarlyStopping
from cnntrain.training.keeping import newest_checkpoint
from cnntrain.training.loop import Outcome
from cnntrain.training.resume import configs_of_run
from cnntrain.training.session import resume_run, start_run


def start_or_resume(
    config_file: Path,
    reporter: Reporter,
    *,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    threads: int | None = None,
    team: Team = ALONE,
) -> tuple[RunFolder, Outcome]:
    """Start a config's run, go on with it, or say that it has finished.

    Parameters
    ----------
    config_file : Path
    reporter : Reporter
    overrides : sequence of str
        `--set` arguments.
    out : Path or None
        The run folder; None takes the newest run of the config's name in `runs/`, or makes the first.
    threads : int or None
    team : Team
        As for `start_run`; its first process looks what there is.

    Raises
    ------
    ArgumentError
        The run's config differs in more than its length.
    ConfigError, DataError, RunFolderError, CheckpointError, TrainingError
        As for `start_run` and `resume_run`.
    """
    config = load_config(config_file, overrides)
    path, has_begun, finished = team.from_first(lambda: _found(config, config_file, overrides, out))
    if path is not None and finished is not None:
        reporter.line(f"{path}: has finished after epoch {finished.progress.epoch}: nothing to do")
        return RunFolder(path), Outcome(finished.progress, step=finished.progress.step)
    if path is None or not has_begun:
        return start_run(config, reporter, out=path, threads=threads, team=team)
    return resume_run(path, reporter, config_file=config_file, overrides=overrides, threads=threads, team=team)


def _found(
    config: Config, config_file: Path, overrides: Sequence[str], out: Path | None
) -> tuple[Path | None, bool, Metadata | None]:
    """Return the run folder, if one is known; whether it is to go on; and what it says if it has finished."""
    path = out if out is not None else newest_run(config.name)
    if path is None or not path.exists():
        return path, False, None
    folder = RunFolder(path)
    if not folder.config.exists() and is_unfinished(folder):  # ended before it had said anything
        return path, False, None
    found = newest_checkpoint(folder, lambda _: None, aside=False)
    if found is None:
        return path, True, None
    metadata = found[1].metadata
    configs_of_run(folder, (found[0], metadata), config_file, overrides)  # the same, or an error
    return path, True, metadata if has_finished(config, metadata) else None


def newest_run(name: str) -> Path | None:
    """Return `runs/<name>-<n>` with the largest n; None if there is none. Raises `RunFolderError`."""
    pattern = re.compile(re.escape(name) + r"-([0-9]{1,18})")
    if not RUNS.exists():
        return None
    try:
        found = [(int(match[1]), entry) for entry in RUNS.iterdir() if (match := pattern.fullmatch(entry.name))]
    except OSError as error:
        raise RunFolderError(f"{RUNS.absolute()}: cannot be read: {error.strerror or error}") from error
    return max(found)[1] if found else None


def has_finished(config: Config, metadata: Metadata) -> bool:
    """Tell whether a run has come to the end of its config, or has been ended early."""
    progress = metadata.progress
    if metadata.inside is not None:
        return False
    stopping = EarlyStopping(config.early_stopping)
    stopping.load_state(progress.early_stopping)
    if stopping.reason is not None:
        return True
    if config.train.steps is not None:
        return progress.step >= config.train.steps
    return progress.epoch >= (config.train.epochs or 0) and not progress.unfinished.images
