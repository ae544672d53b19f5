"""`max_pool2d`, `avg_pool2d`, `global_avg_pool2d`: windows with a winner, and windows with a mean."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from cnntrain.explain.account import Derivation, Formulas, Grid, Line, Place, Term
from cnntrain.explain.terms.windows import Position, span, window
from cnntrain.explain.trace import LayerTrace
from cnntrain.kernels.geometry import Axis


class PoolingFormulas(Formulas):
    """What the windows of both kinds have in common."""

    def __init__(self, traced: LayerTrace, step: int) -> None:
        super().__init__(traced, step)
        self.rows, self.columns = self.settings.axes(traced.row.input_shape)

    def positions(self, i: int, j: int) -> list[list[Position]]:
        """Return the pixels of a window, row by row; None on the padding."""
        return [
            [_inside(self.rows, i, r, self.columns, j, s) for s in range(self.columns.taps)]
            for r in range(self.rows.taps)
        ]

    def windows_with(self, y: int, x: int) -> Iterator[tuple[int, int, int]]:
        """Yield (row, column) of every window that covers a pixel, and the number of the tap on it."""
        for i in range(self.rows.count):
            for j in range(self.columns.count):
                r, s = y - i * self.rows.stride - self.rows.offset, x - j * self.columns.stride - self.columns.offset
                if 0 <= r < self.rows.taps and 0 <= s < self.columns.taps:
                    yield i, j, r * self.columns.taps + s


class MaxPoolingFormulas(PoolingFormulas):
    """The largest of a window; the mask, which tap that was, sends the delta back."""

    def value(self, place: Place) -> Derivation:
        n, k, i, j = place
        positions, winner = self.positions(i, j), self._winner(place)
        where = f"x[{k}], rows {span(positions, 0)}, columns {span(positions, 1)}"
        grid = window(where, self.x[n, k], positions)
        row, column = divmod(winner, self.columns.taps)
        marked = replace(grid, marked=((row, column),))
        inside = [at for line in positions for at in line if at is not None]
        first = max(inside, key=lambda at: _rank(float(self.x[n, k][at])))  # of equal ones the first
        largest = float(self.x[n, k][first])
        tap = Line("mask", "the number of the tap that won, row by row", given=float(self._tap_of(i, j, first)),
                   kernel=float(winner))  # fmt: skip
        return Derivation(
            "the largest value of the window", (tap, self.line_of_value(place, "max x", given=largest)), ((marked,),),
            (f"the winner is {self.named('x', (n, k, *first))}",),
        )  # fmt: skip

    def delta(self, place: Place) -> Derivation:
        n, k, y, x = place
        terms, lost = [], 0
        for i, j, tap in self.windows_with(y, x):
            if self._winner((n, k, i, j)) == tap:
                terms.append(Term(self.named("δ", (n, k, i, j)), (float(self.delta_y[n, k, i, j]),)))
            else:
                lost += 1
        count = len(terms) + lost
        seen = f"{count} window" + ("" if count == 1 else "s")
        remark = f"it lies in {seen} and is the largest of {len(terms)}: the others send nothing"
        return Derivation(
            "the deltas of the windows that this pixel won",
            (self.line_of_delta(place, "Σ δ of the windows it won", terms),), (), (remark,),
        )  # fmt: skip

    def _winner(self, place: Place) -> int:
        assert self.traced.decisions is not None  # the mask
        return int(self.traced.decisions[place])

    def _tap_of(self, i: int, j: int, at: tuple[int, int]) -> int:
        r, s = at[0] - i * self.rows.stride - self.rows.offset, at[1] - j * self.columns.stride - self.columns.offset
        return r * self.columns.taps + s


class AveragePoolingFormulas(PoolingFormulas):
    """The mean of a window; each pixel gets its share of the delta."""

    def value(self, place: Place) -> Derivation:
        n, k, i, j = place
        positions = self.positions(i, j)
        terms = [
            Term(self.named("x", (n, k, *at)), (float(self.x[(n, k, *at)]),))
            for line in positions for at in line if at is not None
        ]  # fmt: skip
        line = self.line_of_value(place, f"Σ x / {self.divisor(i, j)}", terms, divisor=float(self.divisor(i, j)))
        grids: tuple[tuple[Grid, ...], ...] = ()
        if len(positions) * len(positions[0]) <= 64:
            where = f"x[{k}], rows {span(positions, 0)}, columns {span(positions, 1)}"
            grids = ((window(where, self.x[n, k], positions),),)
        outside = self.divisor(i, j) - len(terms)
        remarks = (f"{outside} places of the window lie on the padding, and count in the mean as 0",) if outside else ()
        return Derivation("the mean of the window", (line,), grids, remarks)

    def delta(self, place: Place) -> Derivation:
        n, k, y, x = place
        terms = []
        for i, j, _ in self.windows_with(y, x):
            share = self.divisor(i, j)
            label = f"{self.named('δ', (n, k, i, j))} 1/{share}"
            terms.append(Term(label, (float(self.delta_y[n, k, i, j]), 1 / share)))
        return Derivation(
            "its share of the delta of each window that it lies in",
            (self.line_of_delta(place, "Σ δ / places of the window", terms),),
        )

    def divisor(self, i: int, j: int) -> int:
        """How many places of a window count: with `count_padding` those of the padding too, but not beyond it."""
        counted = 1
        for axis, index in ((self.rows, i), (self.columns, j)):
            base = index * axis.stride + axis.offset
            if self.settings.count_padding:
                counted *= min(base + axis.taps, axis.input_size - axis.offset) - base
            else:
                counted *= min(base + axis.taps, axis.input_size) - max(base, 0)
        return counted


def _rank(value: float) -> float:
    """Order numbers as max-pooling does: a NaN is the largest."""
    return math.inf if math.isnan(value) else value


def _inside(rows: Axis, i: int, r: int, columns: Axis, j: int, s: int) -> Position:
    y, x = i * rows.stride + rows.offset + r, j * columns.stride + columns.offset + s
    return (y, x) if 0 <= y < rows.input_size and 0 <= x < columns.input_size else None
