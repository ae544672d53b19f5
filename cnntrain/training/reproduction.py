"""Training a recipe over seeds, and whether what its `expect` block promises came true."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cnntrain.config import Config, ExpectSettings
from cnntrain.evaluation.assessment import assess
from cnntrain.evaluation.report import Promise
from cnntrain.processes.team import ALONE, Team
from cnntrain.runs.reporter import Reporter
from cnntrain.training.loop import Outcome
from cnntrain.training.session import start_run

Which = Literal["best", "last"]


@dataclass(frozen=True)
class Measured:
    """One seed's run.

    Attributes
    ----------
    seed : int
    accuracy : float
        Share of the test images that is right.
    checkpoint : {"best", "last"}
        Which checkpoint was measured.
    epoch : int
        Epochs of training behind it.
    run : Path
        The run folder.
    """

    seed: int
    accuracy: float
    checkpoint: Which
    epoch: int
    run: Path


@dataclass(frozen=True)
class Reproduction:
    """A recipe's runs, and its promise."""

    name: str
    expected: ExpectSettings
    runs: list[Measured]

    @property
    def mean(self) -> float:
        """Mean accuracy over the seeds."""
        return statistics.fmean(run.accuracy for run in self.runs)

    @property
    def spread(self) -> float | None:
        """Standard deviation of the accuracy over the seeds (divided by one less than their number); None for one."""
        return statistics.stdev(run.accuracy for run in self.runs) if len(self.runs) > 1 else None

    @property
    def promise(self) -> Promise:
        """The promise, held against the mean."""
        return Promise(self.expected, self.mean)

    def as_dict(self) -> dict[str, Any]:
        """Return everything in plain types, for JSON; shares of 1."""
        return {
            "name": self.name,
            "runs": [asdict(run) | {"run": str(run.run)} for run in self.runs],
            "mean": self.mean,
            "spread": self.spread,
            "expected": self.expected.model_dump() | {"kept": self.promise.kept},
        }

    def as_text(self) -> str:
        """Return lines for a terminal."""
        lines = [f"{self.name}: test accuracy"]
        lines += [
            f"seed {run.seed}  {run.accuracy:.2%}  ({run.checkpoint} epoch, {run.epoch}, of {run.run})"
            for run in self.runs
        ]
        if self.spread is not None:
            lines.append(f"mean {self.mean:.2%}, standard deviation {self.spread:.2%} over {len(self.runs)} seeds")
        return "\n".join([*lines, str(self.promise)])


def run_seed(
    config: Config,
    reporter: Reporter,
    which: Which | None = None,
    threads: int | None = None,
    team: Team = ALONE,
) -> tuple[Measured | None, Outcome]:
    """Train a recipe with its seed, in a run folder of its own, and measure it on the test split.

    Parameters
    ----------
    config : Config
    reporter : Reporter
    which : {"best", "last"} or None
        The checkpoint that is measured. None: the best epoch's if there is a validation split to choose it by, and the
        last one's otherwise, as published results of a fixed number of steps were measured.
    threads : int or None
        Threads of the kernels; None takes all cores.
    team : Team
        As for `start_run`.

    Returns
    -------
    Measured or None
        None if a signal stopped the training.
    Outcome
        How the training ended.

    Raises
    ------
    ConfigError, DataError, RunFolderError, TrainingError
        As for `start_run`.
    """
    folder, outcome = start_run(config, reporter, threads=threads, team=team)
    if outcome.stopped_by or outcome.progress is None:
        return None, outcome
    if which is None:
        which = "last" if outcome.progress.metrics.validation_accuracy is None else "best"
    path = folder.best if which == "best" else folder.last
    if all(team.gather(path.exists())):
        report = assess(path, "test", warn=reporter.warning, team=team)
    else:  # on the disk of process 0 alone
        report = team.from_first(lambda: assess(path, "test", warn=reporter.warning))
    return Measured(config.seed, report.evaluation.accuracy, which, report.epoch, folder.path), outcome
