"""What was measured, as a table for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cnntrain.bench.network import PassTime, Run
from cnntrain.bench.shapes import ShapePass
from cnntrain.bench.timing import Spread
from cnntrain.layers.base import PassChoice
from cnntrain.layers.explanation import choice_as_dict, text_of_choices
from cnntrain.runs.environment import describe_environment
from cnntrain.tables import aligned

FOOTNOTE = (
    "median and best time of a pass; ±: half the distance of the quartiles; GF/s and share of the peak at the median,\n"
    "taps on the padding not counted; peak: fused multiply-adds on registers alone, measured in between"
)
TOGETHER = "a max_pool2d without a line of its own runs in one kernel with the convolution before it"
BY_ITSELF = ", which training and evaluation find out while they run, and take"  # fewer threads than there are


UNSTEADY = 0.2  # spread of the peak from which on the figures say more about other programs than about the kernels


@dataclass(frozen=True)
class NetworkReport:
    """The result of measuring a network.

    Attributes
    ----------
    name : str
    images : int
        Images of a batch.
    parameters : int
    runs : list of Run
        One for each number of threads.
    memory : int or None
        Most bytes that the process had.
    compiled : bool
        Something had to be compiled, which needs memory of its own.
    threading_layer : str
    """

    name: str
    images: int
    parameters: int
    runs: list[Run]
    memory: int | None
    compiled: bool
    threading_layer: str

    @property
    def fastest(self) -> Run:
        """The run with the number of threads that trains fastest."""
        return max(self.runs, key=lambda run: run.training.median)

    def as_dict(self) -> dict[str, Any]:
        """Return all measurements, ready for JSON; times in seconds, rates in images/s and GFLOP/s."""
        return {
            "name": self.name,
            "batch_size": self.images,
            "parameters": self.parameters,
            "environment": describe_environment(self.fastest.threads, self.threading_layer),
            "best_threads": self.fastest.threads,
            "peak_memory_bytes": self.memory,
            "compiled": self.compiled,
            "runs": [_run_as_dict(run) for run in self.runs],
        }

    def as_text(self, explain: bool = False) -> str:
        """Return the passes with the best number of threads, and whole steps with each; `explain` says why."""
        best = self.fastest
        lines = [_header("layer", "shape", "pass", "algorithm", step=True)]
        before = None
        for found in best.passes:
            name = found.layer if found.layer != before else ""
            before = found.layer
            cells = (name, found.shape if name else "", found.name, _algorithm(found.choice))
            share = f"{found.step:.1%}"
            lines.append((*cells, *_measurements(found.seconds, found.operations, best.peak), share))
        text = [
            f"{self.name}: {self.parameters:,} parameters, batches of {self.images}, float32",
            f"passes of a training step with {_threads(best.threads)} (peak {_rate(best.peak)} GF/s)",
            "",
            *aligned(lines, left=range(4)),
            "",
            FOOTNOTE,
            TOGETHER,
            "",
            "whole steps, images/s (median, ±)",
            *aligned([("threads", "training", "", "evaluation", "", "peak GF/s"), *map(_whole, self.runs)], left=()),
        ]
        text += _unsteady({run.threads: run.peak for run in self.runs})
        if len(self.runs) > 1:
            fewer = best.threads < max(run.threads for run in self.runs)
            text.append(f"best: {_threads(best.threads)}{BY_ITSELF if fewer else ''}")
        if self.memory is not None:
            note = " (with the compiler: run again for that of a training alone)" if self.compiled else ""
            text.append(f"peak memory: {self.memory / 1e6:,.0f} MB{note}")
        if explain:
            text += text_of_choices(found.choice for found in best.passes if found.choice is not None)
        return "\n".join(text)


@dataclass(frozen=True)
class ShapesReport:
    """The result of measuring given shapes; the peaks by the number of threads."""

    peaks: dict[int, Spread]
    passes: list[ShapePass]
    threading_layer: str

    def as_dict(self) -> dict[str, Any]:
        """Return all measurements, ready for JSON."""
        return {
            "environment": describe_environment(max(self.peaks), self.threading_layer),
            "peak_gflops": {str(threads): peak.as_dict() for threads, peak in self.peaks.items()},
            "passes": [
                {
                    "shape": found.choice.path,
                    "threads": found.threads,
                    "pass": found.choice.name,
                    **choice_as_dict(found.choice),
                    **_pass_as_dict(found.seconds, found.operations, self.peaks[found.threads]),
                }
                for found in self.passes
            ],
        }

    def as_text(self, explain: bool = False) -> str:
        """Return a table; with `explain`, why the algorithms were chosen."""
        lines = [_header("shape", "threads", "pass", "algorithm", step=False)]
        before: tuple[str, int] | None = None
        for found in self.passes:
            key = (found.choice.path, found.threads)
            names = (found.choice.path, str(found.threads)) if key != before else ("", "")
            before = key
            what = found.choice.name, _algorithm(found.choice)
            lines.append((*names, *what, *_measurements(found.seconds, found.operations, self.peaks[found.threads])))
        peaks = ", ".join(f"{_rate(peak)} GF/s with {_threads(threads)}" for threads, peak in self.peaks.items())
        text = [*aligned(lines, left=range(4)), "", f"peak: {peaks}", FOOTNOTE, *_unsteady(self.peaks)]
        if explain:
            text += text_of_choices(found.choice for found in self.passes if found.threads == min(self.peaks))
        return "\n".join(text)


def _algorithm(choice: PassChoice | None) -> str:
    return "" if choice is None else choice.algorithm or ""


def _header(*names: str, step: bool) -> tuple[str, ...]:
    return (*names, "µs", "best", "±", "GF/s", "peak", *(("step",) if step else ()))


def _measurements(seconds: Spread, operations: int, peak: Spread) -> tuple[str, ...]:
    times = (f"{seconds.median * 1e6:,.1f}", f"{seconds.least * 1e6:,.1f}", f"{seconds.relative:.0%}")
    if not operations:
        return (*times, "", "")
    rate = seconds.rate(operations / 1e9).median
    return (*times, f"{rate:,.1f}", f"{rate / peak.median:.0%}")


def _whole(run: Run) -> tuple[str, ...]:
    training, evaluation = run.training, run.evaluation
    return (
        str(run.threads),
        f"{training.median:,.0f}",
        f"{training.relative:.0%}",
        f"{evaluation.median:,.0f}",
        f"{evaluation.relative:.0%}",
        _rate(run.peak),
    )


def _rate(peak: Spread) -> str:
    return f"{peak.median:,.0f} ± {peak.relative:.0%}"


def _unsteady(peaks: Mapping[int, Spread]) -> list[str]:
    """Say which figures are not worth much."""
    return [
        f"with {_threads(threads)} even the peak varied by {peak.relative:.0%}: other programs were running; "
        "measure again without them"
        for threads, peak in peaks.items()
        if peak.relative > UNSTEADY
    ]


def _threads(number: int) -> str:
    return f"{number} thread{'s' if number > 1 else ''}"


def _run_as_dict(run: Run) -> dict[str, Any]:
    return {
        "threads": run.threads,
        "peak_gflops": run.peak.as_dict(),
        "training_images_per_second": run.training.as_dict(),
        "evaluation_images_per_second": run.evaluation.as_dict(),
        "passes": [_layer_pass_as_dict(found, run.peak) for found in run.passes],
    }


def _layer_pass_as_dict(found: PassTime, peak: Spread) -> dict[str, Any]:
    names = {"layer": found.layer or None, "shape": found.shape or None, "pass": found.name}
    return {
        **names,
        **choice_as_dict(found.choice),
        **_pass_as_dict(found.seconds, found.operations, peak),
        "share_of_step": found.step,
    }


def _pass_as_dict(seconds: Spread, operations: int, peak: Spread) -> dict[str, Any]:
    found: dict[str, Any] = {"seconds": seconds.as_dict(), "gflops": None, "share_of_peak": None}
    if operations:
        rate = seconds.rate(operations / 1e9)
        found |= {
            "operations": operations,
            "gflops": rate.as_dict(),
            "share_of_peak": rate.median / peak.median,
            "best_share_of_peak": rate.most / peak.most,
        }
    return found
