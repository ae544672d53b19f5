"""Runs side by side: the table for a terminal, and the object for --json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnntrain.printable import as_text, printable
from cnntrain.report.differences import differences
from cnntrain.report.records import RunRecord
from cnntrain.runs.metrics_file import COLUMNS
from cnntrain.tables import fitted

HEAD = (
    "run", "epochs", "best epoch", "validation accuracy", "validation loss", "training accuracy", "training loss",
    "time", "parameters",
)  # fmt: skip
MOST_SHOWN = 30  # keys that differ; --json and the page have all
NOTHING = "-"


@dataclass(frozen=True)
class Summary:
    """Runs, and what differs between their configs (`differences`)."""

    runs: Sequence[RunRecord]

    @property
    def differences(self) -> dict[str, list[str]]:
        """Values by key, one for each run."""
        return differences([run.config_values for run in self.runs])

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON: shares of 1, seconds, null for what is not there."""
        return {
            "runs": [_run_as_dict(run) for run in self.runs],
            "differences": {as_text(key): list(map(as_text, values)) for key, values in self.differences.items()},
        }

    def as_text(self, width: int | None = None) -> str:
        """Return tables for a terminal of so many columns; None has room for any."""
        rows = [list(HEAD), *map(cells_of, self.runs)]
        kept = [column for column in range(len(HEAD)) if any(row[column] != NOTHING for row in rows[1:])]
        lines = fitted([[printable(row[column]) for column in kept] for row in rows], width)
        found = self.differences
        if len(self.runs) > 1:
            lines += ["", *self._different(found, width)]
        return "\n".join(lines)

    def _different(self, found: dict[str, list[str]], width: int | None) -> list[str]:
        if not found:
            return ["the configs are equal"]
        shown = list(found.items())[:MOST_SHOWN]
        names = [printable(run.label) for run in self.runs]
        rows = [["what differs", *names], *([printable(key), *map(printable, values)] for key, values in shown)]
        lines = fitted(rows, width)
        if len(found) > len(shown):
            lines.append(f"... and {len(found) - len(shown):,} more keys (--json and --html have all)")
        return lines


def cells_of(run: RunRecord) -> list[str]:
    """Return a run's row of the table, in the order of `HEAD`; names are as they are, not printable."""
    best = run.best
    parameters = NOTHING if run.parameters is None else f"{run.parameters:,}"
    if best is None:
        return [run.label, epochs_of(run), *[NOTHING] * 6, parameters]
    return [
        run.label,
        epochs_of(run),
        str(best.epoch),
        share(best["validation_accuracy"]),
        number(best["validation_loss"]),
        share(best["train_accuracy"]),
        number(best["train_loss"]),
        duration(run.seconds),
        parameters,
    ]


def epochs_of(run: RunRecord) -> str:
    """Return how many epochs were trained, of how many."""
    done = run.rows[-1].epoch if run.rows else 0
    planned = run.planned
    if planned is None or run.is_finished:
        return str(done)
    if planned[0] == "epochs":
        return f"{done} of {planned[1]}"
    steps = int(run.rows[-1].cells["step"]) if run.rows else 0
    return f"{done} ({steps:,} of {planned[1]:,} steps)"


def share(value: float | None) -> str:
    """Return a share of 1 in percent."""
    return NOTHING if value is None else f"{value:.2%}"


def number(value: float | None) -> str:
    """Return a loss or a learning rate with four or five digits that count."""
    if value is None:
        return NOTHING
    return f"{value:.4f}" if 0.01 <= abs(value) < 1000 or value == 0 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Return a time as 4.6 s, 12 min 3 s or 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _run_as_dict(run: RunRecord) -> dict[str, Any]:
    best, planned = run.best, run.planned
    return {
        "run": as_text(str(run.folder.path)),
        "label": as_text(run.label),
        "epochs": run.rows[-1].epoch if run.rows else 0,
        "steps": int(run.rows[-1].cells["step"]) if run.rows else 0,
        "planned": None if planned is None else {planned[0]: planned[1]},
        "finished": run.is_finished,
        "best_epoch": None if best is None else best.epoch,
        "best": None if best is None else {name: best[name] for name in COLUMNS if name not in ("epoch", "step")},
        "seconds": run.seconds,
        "parameters": run.parameters,
        "metrics": [
            {"epoch": row.epoch, "step": int(row.cells["step"])}
            | {name: row[name] for name in COLUMNS if name not in ("epoch", "step")}
            for row in run.rows
        ],
    }
