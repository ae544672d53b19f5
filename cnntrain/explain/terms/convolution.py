"""`conv2d`: a window forward; the rotated filter over the padded delta, and input times delta, on the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cnntrain.explain.account import Derivation, Formulas, Grid, Place, Term, named
from cnntrain.explain.terms.windows import Position, cut_out, span, window
from cnntrain.explain.trace import LayerTrace
from cnntrain.passes.problem import ConvolutionGeometry, Window

MOST_GRIDS = 3  # pairs of windows that are drawn; the sums have all terms


class Tap(NamedTuple):
    """A place of a window: the filter's tap as it slides, and what lies under it."""

    row: int
    column: int
    position: Position


class ConvolutionFormulas(Formulas):
    """z = b + sum w x; with `mode: convolution` the filter is rotated by 180° first."""

    def __init__(self, traced: LayerTrace, step: int) -> None:
        super().__init__(traced, step)
        self.geometry: ConvolutionGeometry = self.settings.geometry(traced.row.input_shape)
        self.rows, self.columns = self.geometry.rows, self.geometry.columns
        self.weight = traced.parameters["weight"].value
        # of a group
        self.inputs = self.geometry.channels // self.geometry.groups
        self.outputs = self.geometry.filters // self.geometry.groups

    def value(self, place: Place) -> Derivation:
        n, k, i, j = place
        first = k // self.outputs * self.inputs  # the group's first channel
        taps = [
            [Tap(r, s, _read(self.rows, i, r, self.columns, j, s)) for s in range(self.columns.taps)]
            for r in range(self.rows.taps)
        ]
        by_channel = [self._terms(k, c, taps, "x", (n, first + c)) for c in range(self.inputs)]
        bias = self.learned("bias")
        added = [] if bias is None else [Term(named("b", [k]), (float(bias[k]),))]
        terms = [*added, *(term for each in by_channel for term in each)]
        grids = []
        for c in _largest(by_channel):
            where = f"x[{first + c}], rows {span(_under(taps), 0)}, columns {span(_under(taps), 1)}"
            turned = ", rotated by 180°" if self.geometry.rotated else ""
            drawn = self._filter(named("w", [k, c]) + turned, k, c, taps)
            grids.append((drawn, window(where, self.x[n, first + c], _under(taps))))
        formula = "b + Σ w x" if added else "Σ w x"
        remarks = [_on_padding(taps, self.inputs), _more(self.inputs, "channels")]
        return Derivation(
            "the sum of filter times window" + (", and the bias" if added else ""),
            (self.line_of_value(place, formula, terms),), tuple(grids), tuple(filter(None, remarks)),
        )  # fmt: skip

    def delta(self, place: Place) -> Derivation:
        n, channel, y, x = place
        group, c = divmod(channel, self.inputs)
        filters = range(group * self.outputs, (group + 1) * self.outputs)
        taps = [  # backwards, so that what lies under them goes forwards
            [Tap(r, s, _written(self.rows, y, r, self.columns, x, s)) for s in reversed(range(self.columns.taps))]
            for r in reversed(range(self.rows.taps))
        ]
        by_filter = [self._terms(k, c, taps, "δ", (n, k)) for k in filters]
        grids = []
        for number in _largest(by_filter):
            k = filters[number]
            turned = "" if self.geometry.rotated else ", rotated by 180°"
            apart = " and pulled apart by the stride" if max(self.rows.stride, self.columns.stride) > 1 else ""
            drawn = self._filter(named("w", [k, c]) + turned, k, c, taps)
            grids.append((drawn, window(f"δ[{k}], padded{apart}", self.delta_y[n, k], _under(taps))))
        terms = [term for each in by_filter for term in each]
        remarks = [_more(len(filters), "filters")]
        return Derivation(
            "the full convolution: the rotated filter over the padded delta, summed over the filters",
            (self.line_of_delta(place, "Σ w δ", terms),), tuple(grids), tuple(filter(None, remarks)),
        )  # fmt: skip

    def gradient(self, tensor: str, index: tuple[int, ...]) -> Derivation:
        k, shape = index[0], self.traced.row.output_shape
        places = [(n, k, i, j) for n in range(self.images) for i in range(shape.rows) for j in range(shape.columns)]
        if tensor == "bias":
            terms = [Term(self.named("δ", place), (float(self.delta_y[place]),)) for place in places]
            return Derivation("the sum of the delta", (self.line_of_gradient(tensor, index, "Σ δ", terms),))
        c, r, s = index[1:]
        channel = k // self.outputs * self.inputs + c
        if self.geometry.rotated:
            r, s = self.rows.taps - 1 - r, self.columns.taps - 1 - s
        found = []
        for place in places:
            at = _read(self.rows, place[2], r, self.columns, place[3], s)
            if at is not None:
                seen = (place[0], channel, *at)
                label = f"{self.named('δ', place)} {self.named('x', seen)}"
                found.append((Term(label, (float(self.delta_y[place]), float(self.x[seen]))), place, seen))
        grids: list[tuple[Grid, ...]] = []
        if found:
            _, (n, _, i, j), (_, _, y, x) = max(found, key=lambda each: abs(each[0].value))
            delta = cut_out(f"δ[{k}]", self.delta_y[n, k], i, j)
            grids.append((delta, cut_out(f"x[{channel}]", self.x[n, channel], y, x)))
        line = self.line_of_gradient(tensor, index, "Σ δ x", [term for term, *_ in found])
        return Derivation(
            "the valid correlation of input and delta: each delta times the pixel that this weight saw for it",
            (line,), tuple(grids), ("the windows show the largest term",) if grids else (),
        )  # fmt: skip

    def _terms(self, k: int, c: int, taps: Sequence[Sequence[Tap]], letter: str, front: tuple[int, int]) -> list[Term]:
        """Return the products of a filter's channel with what lies under it in a map of x or δ."""
        array = self.x if letter == "x" else self.delta_y
        terms = []
        for tap in (tap for line in taps for tap in line):
            if tap.position is not None:
                weight, place = self._weight_at(k, c, tap), (*front, *tap.position)
                label = f"{named('w', weight)} {self.named(letter, place)}"
                terms.append(Term(label, (float(self.weight[weight]), float(array[place]))))
        return terms

    def _filter(self, title: str, k: int, c: int, taps: Sequence[Sequence[Tap]]) -> Grid:
        return Grid(
            title, tuple(tuple(float(self.weight[self._weight_at(k, c, tap)]) for tap in line) for line in taps)
        )

    def _weight_at(self, k: int, c: int, tap: Tap) -> Place:
        if self.geometry.rotated:
            return k, c, self.rows.taps - 1 - tap.row, self.columns.taps - 1 - tap.column
        return k, c, tap.row, tap.column


def _read(rows: Window, i: int, r: int, columns: Window, j: int, s: int) -> Position:
    """Return the pixel that tap (r, s) of output (i, j) reads; None on the padding."""
    y = i * rows.stride - rows.before + r * rows.dilation
    x = j * columns.stride - columns.before + s * columns.dilation
    return (y, x) if 0 <= y < rows.input_size and 0 <= x < columns.input_size else None


def _written(rows: Window, y: int, r: int, columns: Window, x: int, s: int) -> Position:
    """Return the output for which tap (r, s) reads pixel (y, x); None where there is none."""
    i, rest = divmod(y + rows.before - r * rows.dilation, rows.stride)
    j, other_rest = divmod(x + columns.before - s * columns.dilation, columns.stride)
    inside = 0 <= i < rows.output_size and 0 <= j < columns.output_size
    return (i, j) if inside and rest == other_rest == 0 else None


def _under(taps: Sequence[Sequence[Tap]]) -> list[list[Position]]:
    return [[tap.position for tap in line] for line in taps]


def _largest(groups: Sequence[Sequence[Term]]) -> list[int]:
    """Return the numbers of the channels or filters that contribute most, at most `MOST_GRIDS`, in order."""
    sizes = [abs(sum(term.value for term in group)) for group in groups]
    return sorted(sorted(range(len(groups)), key=lambda number: -sizes[number])[:MOST_GRIDS])


def _more(count: int, what: str) -> str:
    return f"the windows show the {MOST_GRIDS} of {count} {what} that contribute most" if count > MOST_GRIDS else ""


def _on_padding(taps: Sequence[Sequence[Tap]], channels: int) -> str:
    outside = channels * sum(tap.position is None for line in taps for tap in line)
    return f"{outside} taps lie on the padding (·) and count as 0" if outside else ""
