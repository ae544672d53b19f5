"""Curves over the epochs, as SVG: losses, accuracies, learning rate and speed, of several runs in one drawing.

Everything is drawn here; page.js shows numbers where one points, from the list that `Chart.data` gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cnntrain.printable import printable
from cnntrain.report.markup import esc, folded, table
from cnntrain.report.records import RunRecord
from cnntrain.report.scales import Scale, scale_over
from cnntrain.report.summary import number, share
from cnntrain.runs.metrics_file import COLUMNS

WIDTH, HEIGHT = 460, 270
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 34
MOST_DOTS = 40  # epochs; of more, the lines alone are drawn
COLOURS = 8  # classes c0, c1, ... in page.css
STEEP = 20  # largest over least loss, from which on a logarithmic scale shows more

SAID = {"train": "training", "validation": "validation"}

Format = Callable[[float | None], str]


@dataclass(frozen=True)
class Series:
    """A column of one run. `style` is "train" (dashed) or "validation" (drawn through)."""

    run: int
    label: str
    style: str
    points: Sequence[tuple[int, float | None]]


@dataclass(frozen=True)
class Chart:
    """A drawing with its title, and how its numbers are written."""

    title: str
    series: Sequence[Series]
    write: Format
    logarithmic: bool = False

    @property
    def scales(self) -> tuple[Scale, Scale]:
        """Those of epochs, and of values."""
        values = [value for one in self.series for _, value in one.points if value is not None]
        if self.logarithmic:
            values = [value for value in values if value > 0]
        low, high = self._epochs
        if low == high:
            low, high = low - 1, high + 1
        across = Scale(low, high, LEFT + 6, WIDTH - RIGHT - 6)
        return across, scale_over(values, HEIGHT - BOTTOM, TOP, logarithmic=self.logarithmic)

    @property
    def _epochs(self) -> tuple[int, int]:
        epochs = [epoch for one in self.series for epoch, _ in one.points]
        return min(epochs, default=1), max(epochs, default=1)

    @property
    def data(self) -> dict[str, Any]:
        """What page.js needs to show numbers: for each epoch its place, and what to say of each series."""
        across, _ = self.scales
        epochs = sorted({epoch for one in self.series for epoch, _ in one.points})
        values = [dict(one.points) for one in self.series]
        return {
            "title": self.title,
            "epochs": epochs,
            "x": [round(across(epoch), 1) for epoch in epochs],
            "series": [
                {
                    "run": one.run,
                    "colour": one.run % COLOURS,
                    "label": one.label,
                    "style": one.style,
                    "texts": [self.write(found[epoch]) if epoch in found else "" for epoch in epochs],
                }
                for one, found in zip(self.series, values, strict=True)
            ],
        }

    def svg(self, index: int) -> str:
        """Return the drawing; `index` is its place in the page's list of charts."""
        across, up = self.scales
        note = ", logarithmic scale" if self.logarithmic else ""
        return (
            f'<figure class="chart"><figcaption>{esc(self.title)}<small>{note}</small></figcaption>'
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" tabindex="0" data-chart="{index}" '
            f'aria-label="{esc(self.title)} by epoch. Arrow keys read the numbers; a table is below.">'
            f"{''.join(self._axes(across, up))}"
            f'<line class="cursor" x1="0" x2="0" y1="{TOP}" y2="{HEIGHT - BOTTOM}" hidden=""/>'
            f"{''.join(self._line(one, across, up) for one in self.series)}</svg>"
            f'<div class="tip" hidden></div><p class="unseen" aria-live="polite"></p></figure>'
        )

    def _axes(self, across: Scale, up: Scale) -> Iterator[str]:
        bottom = HEIGHT - BOTTOM
        for value in up.ticks(5):
            y = up(value)
            if TOP - 1 <= y <= bottom + 1:
                yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                text = esc(self._tick(value))
                yield f'<text class="tick" x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        for value in across.ticks(6):
            if value == round(value) and self._epochs[0] <= value <= self._epochs[1]:
                x = across(value)
                yield f'<text class="tick" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{value:.0f}</text>'
        yield f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">epoch</text>'

    def _tick(self, value: float) -> str:
        if self.write is share:
            return f"{round(value * 100, 6):g} %"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 12):.4g}"

    def _line(self, one: Series, across: Scale, up: Scale) -> str:
        """Return a line with a gap where a number is missing, and dots where epochs are few."""
        path, dots, pen = [], [], "M"
        for epoch, value in one.points:
            if value is None or (self.logarithmic and value <= 0):
                pen = "M"
                continue
            x, y = f"{across(epoch):.1f}", f"{up(value):.1f}"
            path.append(f"{pen}{x} {y}")
            dots.append(f'<circle cx="{x}" cy="{y}" r="3"/>')
            pen = "L"
        shown = "".join(dots) if len(one.points) <= MOST_DOTS else ""
        return (
            f'<g class="c{one.run % COLOURS} {one.style}" data-run="{one.run}"><path d="{"".join(path)}"/>{shown}</g>'
        )


def charts_of(runs: Sequence[RunRecord]) -> list[Chart]:
    """Return the charts of runs: loss, accuracy, learning rate, speed."""
    losses = list(_series(runs, "train_loss", "validation_loss"))
    values = [value for one in losses for _, value in one.points if value is not None]
    steep = bool(values) and min(values) > 0 and max(values) / min(values) > STEEP
    return [
        Chart("Loss", losses, number, steep),
        Chart("Accuracy", list(_series(runs, "train_accuracy", "validation_accuracy")), share),
        Chart("Learning rate", list(_series(runs, "", "learning_rate")), number),
        Chart("Images per second", list(_series(runs, "", "images_per_second")), lambda value: f"{value or 0:,.0f}"),
    ]


def numbers_of(runs: Sequence[RunRecord]) -> str:
    """Return what the charts are drawn from as tables: metrics.csv as it is."""
    return folded(
        "The numbers behind the curves",
        "".join(
            f"<h4>{esc(run.label)}</h4>"
            + table(
                [name.replace("_", " ") for name in COLUMNS],
                [[row.cells[name] for name in COLUMNS] for row in run.rows],
                f"metrics.csv of {run.label}",
                name="numbers",
            )
            for run in runs
        ),
    )


def _series(runs: Sequence[RunRecord], train: str, validation: str) -> Iterator[Series]:
    """Yield the columns of each run; one that has no number anywhere is left out."""
    for index, run in enumerate(runs):
        for column, style in ((train, "train"), (validation, "validation")):
            points = [(row.epoch, row[column]) for row in run.rows] if column else []
            if any(value is not None for _, value in points):
                said = f" {SAID[style]}" if train else ""
                yield Series(index, printable(f"{run.label}{said}"), style, points)
