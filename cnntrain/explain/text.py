"""Explanations for a terminal: plain text that keeps to 80 columns where the numbers let it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

import numpy as np

from cnntrain.explain.account import Derivation, Grid, Line, Term
from cnntrain.explain.asked import Number
from cnntrain.explain.example import Example
from cnntrain.explain.strip import StripRow
from cnntrain.explain.trace import Trace
from cnntrain.printable import printable

WIDTH = 80
ALL, SOME = 26, 12  # so many terms are all shown; of more, so many of the largest
_VALUE = 15  # characters


def head_text(example: Example, trace: Trace) -> str:
    """Say what is explained."""
    names = [printable(example.class_names[label]) for label in dict.fromkeys(trace.labels.tolist())]
    labels = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    lines = [
        f"{printable(example.name)}: {example.origin}",
        f"{example.title}, label {labels}; step {trace.step}, {example.optimizer.name} at learning rate "
        f"{trace.learning_rate:.4g}",
    ]
    return "\n".join([*lines, *(f"note: {note}" for note in example.notes)])


def strip_text(rows: Sequence[StripRow], example: Example, trace: Trace) -> str:
    """Write the layers as a table, then the loss and what the network says."""
    head = ("layer", "output", "low", "high", "dead", "delta", "gradient", "upd/w")
    table = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    lines = [
        " ".join(
            cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in table
    ]
    legend = (
        "dead: channels whose slope is nearly 0 everywhere; delta: rms of dL/d(output);\n"
        "gradient: rms of dL/d(weight); upd/w: rms of the step against the weight's"
    )
    return "\n".join([*(line.rstrip() for line in lines), "", legend, "", *_outcome(example, trace)])


def _cells(row: StripRow) -> tuple[str, ...]:
    first = row.learned[0] if row.learned else None
    dead = "" if row.dead is None else f"{row.dead:.0%}"
    moved = "" if first is None or first.ratio is None else short(first.ratio)
    gradient = "" if first is None else "frozen" if first.gradient is None else short(first.gradient)
    delta = "" if row.delta is None else short(row.delta)
    return row.path, row.output_shape, short(row.low), short(row.high), dead, delta, gradient, moved


def _outcome(example: Example, trace: Trace) -> Iterator[str]:
    images = "" if len(trace.labels) == 1 else f", the mean of {len(trace.labels)} images"
    yield f"loss {trace.loss:.6g} ({trace.loss_layer.name}{images})"
    for number, (logits, label) in enumerate(zip(trace.logits[:8], trace.labels[:8].tolist(), strict=True)):
        powers = np.exp(logits - logits.max())
        shares = powers / powers.sum()
        best = np.argsort(-shares, kind="stable")[:3].tolist()
        guesses = ", ".join(f"{printable(example.class_names[k])} {shares[k]:.1%}" for k in best)
        of = "" if len(trace.labels) == 1 else f"image {number}: "
        yield f"{of}softmax {guesses}; the label, {printable(example.class_names[label])}, has {shares[label]:.1%}"


def number_text(number: Number) -> str:
    """Write a number with the numbers that it was made of."""
    parts = [f"{number.path}: {number.shapes}", *_derivation(number.derivation)]
    if number.difference is not None:
        parts.append(_difference(number))
    if number.update is not None:
        parts += _derivation(number.update)
    return "\n".join(parts)


def _difference(number: Number) -> str:
    found = number.difference
    assert found is not None  # the caller has looked; for mypy
    if found.value is None:
        return f"  central difference: none, a kink: within {found.step:.0e} the network decides otherwise"
    apart = abs(found.value - number.derivation.last.value)
    verdict = "agrees" if found.agrees else "DIFFERS: see cnntrain gradcheck"
    return f"  central difference  {found.value:.10g}  (h = {found.step:.0e}, {apart:.1e} apart: {verdict})"


def _derivation(made: Derivation) -> Iterator[str]:
    yield ""
    yield from textwrap.wrap(f"{made.last.name}: {made.title}", WIDTH)
    for grids in made.grids:
        yield ""
        yield from _beside([list(_grid(grid)) for grid in grids])
    for remark in made.remarks:
        yield f"  ({remark})"
    yield ""
    for line in made.lines[:-1]:
        yield from _line(line, last=False)
    yield from _line(made.last, last=True)


def _line(line: Line, last: bool) -> Iterator[str]:
    equation = f"{line.name} = {line.formula}" if line.formula else line.name
    if not line.terms:
        yield f"  {equation.ljust(44)}  {_exactly(line.value)}" + _compared(line)
        return
    if not last and len(line.terms) > SOME:
        yield f"  {f'{equation}, {len(line.terms):,} terms'.ljust(44)}  {_exactly(line.value)}" + _compared(line)
        return
    yield f"  {equation}"
    shown = line.terms if len(line.terms) <= ALL else _largest(line.terms)
    rows = list(_terms(shown, line))
    over = "" if line.divisor == 1 else f", over {line.divisor:g}"
    plural = "" if len(line.terms) == 1 else "s"
    rows.append((f"{len(line.terms):,} term{plural}{over}", "", _exactly(line.value) + _compared(line)))
    labels, factors = (max(len(row[i]) for row in rows) for i in (0, 1))
    for label, product, value in rows[:-1]:
        yield f"    {label.ljust(labels)}  {product.rjust(factors)}  {value.rjust(_VALUE)}"
    label, _, value = rows[-1]
    yield " " * (labels + factors + 8) + "-" * _VALUE
    yield f"    {label.ljust(labels)}  {' ' * factors}  {' ' * (_VALUE - len(_exactly(line.value)))}{value}"


def _terms(shown: Sequence[Term], line: Line) -> Iterator[tuple[str, str, str]]:
    for term in shown:
        product = " · ".join(f"{factor + 0.0:.6g}" for factor in term.factors) if len(term.factors) > 1 else ""
        yield term.label, product, f"{term.value + 0.0:.6g}"  # + 0.0: no -0
    left = len(line.terms) - len(shown)
    if left:
        rest = math.fsum(term.value for term in line.terms) - math.fsum(term.value for term in shown)
        yield f"{left:,} smaller ones", "", f"{rest:.6g}"


def _exactly(value: float) -> str:
    return f"{value + 0.0:.10g}"


def _largest(terms: Sequence[Term]) -> list[Term]:
    """Return the largest terms, the largest first."""
    return sorted(terms, key=lambda term: -abs(term.value))[:SOME]


def _compared(line: Line) -> str:
    return "" if line.kernel is None else "  = the kernels'"


def _grid(grid: Grid) -> Iterator[str]:
    """Draw a window; where all its numbers are small or large, they are given in a power of ten."""
    numbers = [abs(value) for row in grid.values for value in row if value is not None and math.isfinite(value)]
    top = max(numbers, default=0.0)
    power = 0 if not top or 0.05 <= top < 1000 else math.floor(math.log10(top))
    unit = f" (in 1e{power:+03d})" if power else ""
    cells = [
        [_cell(value, power, (i, j) in grid.marked, bool(grid.marked)) for j, value in enumerate(row)]
        for i, row in enumerate(grid.values)
    ]
    wide = max((len(cell) for row in cells for cell in row), default=0)
    yield grid.title + unit
    for row in cells:
        yield " ".join(cell.rjust(wide) for cell in row)


def _cell(value: float | None, power: int, marked: bool, brackets: bool) -> str:
    """Write a number of a window; in a window with marks, those without leave room for the bracket."""
    text = "·"
    if value is not None:
        digits = 3 if abs(value) < 100 or power else 1
        text = f"{value / 10.0**power:.{digits}f}"
    if not brackets:
        return text
    return f"[{text}]" if marked else f"{text} "


def _beside(blocks: list[list[str]]) -> Iterator[str]:
    """Put blocks of lines side by side, or below each other where that is too wide."""
    widths = [max(map(len, block)) for block in blocks]
    if sum(widths) + 3 * len(blocks) > WIDTH:
        for number, block in enumerate(blocks):
            if number:
                yield ""
            yield from (f"  {line}".rstrip() for line in block)
        return
    for i in range(max(map(len, blocks))):
        cells = [(block[i] if i < len(block) else "").ljust(width) for block, width in zip(blocks, widths, strict=True)]
        yield ("  " + "   ".join(cells)).rstrip()


def short(value: float) -> str:
    """Write a number in at most 7 characters: 0.424, -12.3, 1.2e-5."""
    if not math.isfinite(value):
        return f"{value}"
    if value == 0:
        return "0"
    if 0.001 <= abs(value) < 1000:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"
