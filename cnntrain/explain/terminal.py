"""A document for a terminal, a pipe or a file: 80 columns, with colours only where they are wanted."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cnntrain.explain import document as d
from cnntrain.explain.numbers import MINUS, readable

WIDTH = 80
SHOWN = 9  # steps of a window, where there are more: the first of them and the last
CUT = "·"  # a zero of the padding, a connection that is not there
_CODES = {"bold": "1", "faint": "2", "window": "7", "image": "94", "filter": "35", "output": "32", "delta": "31"}
_CODES |= {"gradient": "36", "mask": "35"}


class _Box(NamedTuple):
    """Lines of one visible width, and which of them the sign beside it stands at."""

    lines: list[str]
    width: int
    middle: int


class Terminal:
    """Renders documents.

    Parameters
    ----------
    width : int
        Columns; a single number wider than that stays as it is.
    color : bool
        Use escapes for colours.
    """

    def __init__(self, width: int = WIDTH, color: bool = False) -> None:
        self._width, self._color = width, color

    def render(self, document: d.Document) -> str:
        """Return the text, without a newline at its end."""
        blocks = [d.Heading(document.title, 1), *document.blocks]
        lines: list[str] = []
        for before, block in zip([None, *blocks], blocks, strict=False):
            together = isinstance(block, d.Sum | d.Link) and type(before) is type(block)
            lines += [*([""] if lines and not together else []), *self._block(block)]
        return "\n".join(line.rstrip() for line in lines)

    def _block(self, block: d.Block) -> list[str]:
        if isinstance(block, d.Heading):
            rule = ("═" if block.level == 1 else "─") * len(block.text)
            return [self._styled(block.text, "bold"), self._styled(rule, "faint")]
        if isinstance(block, d.Text):
            return textwrap.wrap(block.text, self._width)
        if isinstance(block, d.Formula):
            return self._formula(block)
        if isinstance(block, d.Matrix):
            return self._beside([block])
        if isinstance(block, d.Beside):
            return self._beside(block.items)
        if isinstance(block, d.Sum):
            return self._sum(block)
        if isinstance(block, d.Slide):
            return self._slide(block)
        if isinstance(block, d.Table):
            return self._table(block)
        return [f"{block.text}: {self._styled(block.target, 'image')}"]

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self._color and style in _CODES and text else text

    def _formula(self, formula: d.Formula) -> list[str]:
        lines = [
            part
            for line in formula.lines
            for part in textwrap.wrap(line, self._width - 4, subsequent_indent="    ", break_long_words=False) or [""]
        ]
        noted = textwrap.wrap(formula.note, self._width - 4, initial_indent="(", subsequent_indent=" ")
        return [f"    {line}" for line in [*lines, *([*noted[:-1], f"{noted[-1]})"] if noted else [])]]

    def _sum(self, block: d.Sum) -> list[str]:
        return self._long(f"  {block.name} = ", written_terms(block), _result(block))

    def _long(self, start: str, terms: Sequence[str], result: str) -> list[str]:
        """Return a sum on as many lines as it needs, broken between its terms."""
        lines, line, indent = [], start + terms[0], " " * len(start)
        for piece in [*(f" + {term}" for term in terms[1:]), result]:
            if len(line) + len(piece) > self._width:
                lines.append(line)
                line = indent + piece.strip()
            else:
                line += piece
        return [*lines, line]

    def _table(self, table: d.Table) -> list[str]:
        rows = [table.head, *table.texts()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(table.head))]
        numeric = [all(not isinstance(row[i], str) for row in table.rows) for i in range(len(table.head))]
        lines = [
            "  "
            + "  ".join(
                cell.rjust(w) if right else cell.ljust(w) for cell, w, right in zip(row, widths, numeric, strict=True)
            )
            for row in rows
        ]
        return [
            self._styled(lines[0], "bold"),
            self._styled("  " + "  ".join("─" * w for w in widths), "faint"),
            *lines[1:],
        ]

    def _matrix(self, matrix: d.Matrix, columns: range) -> _Box:
        """Return some columns of a matrix between brackets, each cell with room for the marks of a window."""
        texts = matrix.texts()
        widths = {j: max((len(self._cell(matrix, texts, i, j)) for i in range(len(texts))), default=1) for j in columns}
        lines = []
        for i in range(len(texts)):
            left, right = _brackets(i, len(texts))
            cells = []
            for j in columns:
                text, marked = self._cell(matrix, texts, i, j), (i, j) in matrix.highlight
                style = "window" if marked else "faint" if (i, j) in matrix.faint else ""
                padded = f"[{text}]".rjust(widths[j] + 2) if marked else f" {text} ".rjust(widths[j] + 2)
                cells.append(self._styled(padded, style))
            lines.append(left + "".join(cells) + right)
        width = sum(widths[j] + 2 for j in columns) + 2
        name = matrix.name if len(columns) == len(texts[0]) else f"{matrix.name}, columns {columns[0] + 1} …"
        if name:
            outer = max(width, len(name))
            lines = [self._styled(name.center(outer), matrix.role), *(_centred(line, width, outer) for line in lines)]
            width = outer
        return _Box(lines, width, (1 if name else 0) + (len(texts) - 1) // 2)

    @staticmethod
    def _cell(matrix: d.Matrix, texts: Sequence[Sequence[str]], i: int, j: int) -> str:
        return CUT if (i, j) in matrix.faint and texts[i][j] == "0" else texts[i][j]

    def _boxes(self, matrix: d.Matrix, room: int) -> list[_Box]:
        """Return a matrix as one box, or as several with some of its columns each if it is wider than `room`."""
        count = len(matrix.values[0]) if matrix.values else 0
        for parts in range(1, max(count, 1) + 1):
            size = max(-(-count // parts), 1)
            boxes = [self._matrix(matrix, range(at, min(at + size, count))) for at in range(0, count, size)]
            if max((box.width for box in boxes), default=0) <= room:
                break
        return boxes

    def _beside(self, items: Iterable[d.Matrix | str]) -> list[str]:
        """Return boxes and signs side by side, in as many rows as they need; a sign goes with what is behind it."""
        rows: list[list[_Box]] = [[]]
        sign = ""
        for item in items:
            if isinstance(item, str):
                sign = f"{sign} {item}".strip()
                continue
            before = [_Box([f" {sign} "], len(sign) + 2, 0)] if sign else []
            for box in self._boxes(item, self._width - 2 - sum(each.width for each in before)):
                more = [*(before or [_Box(["  "], 2, 0)]), box]
                if rows[-1] and 2 + sum(each.width for each in [*rows[-1], *more]) > self._width:
                    rows.append([])
                rows[-1] += more if rows[-1] or before else [box]
                before = []
            sign = ""
        if sign:
            rows[-1].append(_Box([f" {sign}"], len(sign) + 1, 0))
        lines: list[str] = []
        for row in filter(None, rows):
            lines += [*([""] if lines else []), *(f"  {line}" for line in _joined(row))]
        return lines

    def _slide(self, slide: d.Slide) -> list[str]:
        steps = list(enumerate(slide.steps))
        left_out = len(steps) - SHOWN if len(steps) > SHOWN else 0
        shown = steps if not left_out else [*steps[: SHOWN - 1], steps[-1]]
        lines = self._beside([slide.image, "∗", slide.filter, "=", slide.output])
        for number, step in shown:
            if left_out and number == steps[-1][0]:
                lines += ["", f"  ... {left_out} more ..."]
            lines += ["", *self._beside(_marked(slide, step)), "", *self._sum(step.sum)]
        return lines


def render(document: d.Document, *, width: int = WIDTH, color: bool = False) -> str:
    """Return a document as text for a terminal of `width` columns."""
    return Terminal(width, color).render(document)


def written_terms(block: d.Sum) -> list[str]:
    """Return the terms of a sum as they are written: negative factors in brackets, "0" for a sum of nothing."""
    terms = block.terms or ((0,),)
    return ["·".join(_factor(cell, at > 0 or i > 0) for i, cell in enumerate(term)) for at, term in enumerate(terms)]


def _factor(cell: d.Cell, inside: bool) -> str:
    text = cell if isinstance(cell, str) else readable(cell)
    return f"({text})" if inside and text.startswith(MINUS) else text


def _result(block: d.Sum) -> str:
    value = block.value if isinstance(block.value, str) else readable(block.value)
    same = len(block.terms) <= 1 and written_terms(block) == [value]
    return ("" if same else f" = {value}") + (f"   {block.note}" if block.note else "")


def _marked(slide: d.Slide, step: d.Step) -> list[d.Matrix | str]:
    """Return a slide's matrices with the window, its taps and the output marked; taps only if they are not all."""
    count = sum(len(row) for row in slide.filter.values)
    taps = step.taps if len(step.taps) < count else frozenset()
    image = d.Matrix("", slide.image.values, step.window, slide.image.faint, slide.image.role)
    filter_ = d.Matrix("", slide.filter.values, taps, slide.filter.faint, slide.filter.role)
    output = d.Matrix("", slide.output.values, frozenset({step.output}), slide.output.faint, slide.output.role)
    return [image, "∗", filter_, "=", output]


def _brackets(row: int, rows: int) -> tuple[str, str]:
    if rows == 1:
        return "[", "]"
    return ("⎡", "⎤") if row == 0 else ("⎣", "⎦") if row == rows - 1 else ("⎢", "⎥")


def _centred(line: str, width: int, outer: int) -> str:
    """Centre a line by its visible width: colours have none."""
    before = (outer - width) // 2
    return " " * before + line + " " * (outer - width - before)


def _joined(row: Sequence[_Box]) -> list[str]:
    above = max(box.middle for box in row)
    below = max(len(box.lines) - box.middle for box in row)
    lines = []
    for at in range(-above, below):
        places = [(box, box.middle + at) for box in row]
        lines.append("".join(box.lines[i] if 0 <= i < len(box.lines) else " " * box.width for box, i in places))
    return lines
