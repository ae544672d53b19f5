"""A sheet that is filled from the top down with named arrays: numbers to change, and formulas that follow them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from openpyxl import Workbook  # type: ignore[import-untyped]
from openpyxl.comments import Comment  # type: ignore[import-untyped]
from openpyxl.formatting.rule import ColorScaleRule  # type: ignore[import-untyped]
from openpyxl.styles import Alignment, Font, PatternFill  # type: ignore[import-untyped]
from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]

from cnntrain.printable import printable

Value = float | int | str  # a string is a formula, without its "="
LONGEST = 8192  # characters of a formula, in Excel
_INK, _PALE, _WHITE = "1F2937", "6B7280", "FFFFFF"


class Look(NamedTuple):
    """How the numbers of an array look: colour of its heading, colours of the smallest and the largest number."""

    heading: str
    low: str
    high: str
    number: str = "0.000;-0.000;0"


# White in the middle is zero, for what has a sign.
LOOKS = {
    "pixel": Look("374151", "FFFFFF", "4B5563", "0"),
    "weight": Look("B45309", "93C5FD", "FDBA74"),
    "forward": Look("1D4ED8", "A7C7F2", "F2B8A0"),
    "delta": Look("7C3AED", "99D5C9", "D8B4FE", "0.0000;-0.0000;0"),
    "gradient": Look("047857", "99D5C9", "FCD34D", "0.0000;-0.0000;0"),
    "update": Look("BE123C", "93C5FD", "FDBA74"),
}
INPUT = PatternFill("solid", fgColor="FEF9C3")


def constant(value: float) -> str:
    """Write a number for a formula."""
    text = repr(float(value)).replace("e", "E")
    return f"({text})" if text.startswith("-") else text


class Ref(NamedTuple):
    """A cell, or the corners of a range, of a sheet."""

    sheet: str
    top: int
    left: int
    bottom: int
    right: int

    def seen_from(self, sheet: str) -> str:
        """Write it as a formula of another sheet, or of the same, has it."""
        first, last = f"{get_column_letter(self.left)}{self.top}", f"{get_column_letter(self.right)}{self.bottom}"
        cells = first if first == last else f"{first}:{last}"
        return cells if sheet == self.sheet else f"'{self.sheet}'!{cells}"


@dataclass(frozen=True)
class Block:
    """A matrix of cells."""

    sheet: str
    top: int
    left: int
    rows: int
    columns: int

    def at(self, i: int, j: int) -> Ref:
        """Return a cell."""
        return self.range(i, i, j, j)

    def range(self, i0: int, i1: int, j0: int, j1: int) -> Ref:
        """Return the cells from row i0 to i1 and column j0 to j1, both included."""
        return Ref(self.sheet, self.top + i0, self.left + j0, self.top + i1, self.left + j1)

    @property
    def whole(self) -> Ref:
        """All of it."""
        return self.range(0, self.rows - 1, 0, self.columns - 1)


class Book:
    """A workbook in the making.

    Attributes
    ----------
    workbook : openpyxl.Workbook
    formulas : int
        Cells with formulas so far.
    arrays : dict
        Where arrays are: by (layer's path, name) a function from an index to the cell.
    """

    def __init__(self) -> None:
        self.workbook = Workbook()
        self.workbook.remove(self.workbook.active)
        self.workbook.calculation.fullCalcOnLoad = True
        self.formulas = 0
        self.arrays: dict[tuple[str, str], Callable[[tuple[int, ...]], Ref]] = {}

    def sheet(self, name: str, heading: str, words: str, colour: str) -> Sheet:
        """Add a sheet with a heading that stays in view."""
        return Sheet(self, name, heading, words, colour)


class Sheet:
    """A sheet and the row where the next array goes.

    Attributes
    ----------
    name : str
    """

    def __init__(self, book: Book, name: str, heading: str, words: str, colour: str) -> None:
        self.book, self.name, self._row = book, name, 4
        self._sheet = book.workbook.create_sheet(name)
        self._sheet.sheet_properties.tabColor = colour
        self._sheet.sheet_view.showGridLines = False
        self._sheet.sheet_format.defaultColWidth = 9
        self.text(1, 1, heading, Font(bold=True, size=16, color=_INK))
        self.text(2, 1, words, Font(italic=True, color=_PALE))
        self._sheet.freeze_panes = "A3"
        self.width(1, 12)

    def text(self, row: int, column: int, words: str, font: Any = None, link: str | None = None) -> None:
        """Write words, whatever they begin with: no formula comes from outside."""
        cell = self._sheet.cell(row, column)
        cell.value = printable(words)
        cell.data_type = "s"
        if font is not None:
            cell.font = font
        if link is not None:
            cell.hyperlink = f"#'{link}'!A1"

    def fill(self, row: int, column: int, words: str) -> None:
        """Write words on the ground of numbers that may be changed."""
        self.text(row, column, words)
        self._sheet.cell(row, column).fill = INPUT

    def width(self, column: int, characters: float) -> None:
        """Set the width of a column."""
        self._sheet.column_dimensions[get_column_letter(column)].width = characters

    def put(self, row: int, column: int, value: Value, number: str, *, is_input: bool = False) -> Ref:
        """Write a number, or a formula (without "=")."""
        if isinstance(value, str):
            if len(value) >= LONGEST:
                raise AssertionError(f"a formula of {len(value)} characters in {self.name}")
            value = f"={value}"
            self.book.formulas += 1
        cell = self._sheet.cell(row, column, value)
        cell.number_format = number
        if is_input:
            cell.fill = INPUT
        return Ref(self.name, row, column, row, column)

    def seen(self, ref: Ref) -> str:
        """Write a reference for a formula of this sheet."""
        return ref.seen_from(self.name)

    # --- arrays ---

    def heading(self, title: str, formula: str, look: str) -> None:
        """Begin an array: its name, and its formula in letters."""
        words = f"{title}     {formula}" if formula else title
        self.text(self._row, 1, words, Font(bold=True, color=_WHITE))
        for column in range(1, 17):
            self._sheet.cell(self._row, column).fill = PatternFill("solid", fgColor=LOOKS[look].heading)
        if formula:
            self._sheet.cell(self._row, 1).comment = Comment(formula, "cnntrain", height=60, width=320)
        self._row += 1

    def matrix(
        self,
        rows: int,
        columns: int,
        value: Callable[[int, int], Value],
        look: str,
        *,
        left: int = 2,
        is_input: bool = False,
    ) -> Block:
        """Write a matrix from the next row on; the row moves on with `end`. What may be changed is on yellow."""
        block = Block(self.name, self._row, left, rows, columns)
        number = LOOKS[look].number
        for i in range(rows):
            for j in range(columns):
                self.put(block.top + i, left + j, value(i, j), number, is_input=is_input)
        if not is_input:
            self._coloured(block, look)
        return block

    def labels(self, names: Sequence[str], *, left: int = 2, below: bool = False) -> None:
        """Write labels along the next row, or down from it in column `left`."""
        for number, name in enumerate(names):
            row, column = (self._row + number, left) if below else (self._row, left + number)
            self.text(row, column, name, Font(size=9, color=_PALE))
            self._sheet.cell(row, column).alignment = Alignment(horizontal="right")
        if not below:
            self._row += 1

    def end(self, rows: int, gap: int = 1) -> None:
        """Move on behind what has been written."""
        self._row += rows + gap

    @property
    def row(self) -> int:
        """The next row."""
        return self._row

    def _coloured(self, block: Block, look: str) -> None:
        colours = LOOKS[look]
        if look == "pixel":
            rule = ColorScaleRule(
                start_type="num", start_value=0, start_color="8B95A5", end_type="num", end_value=255, end_color="FFFFFF"
            )
        else:
            rule = ColorScaleRule(
                start_type="min", start_color=colours.low, mid_type="num", mid_value=0, mid_color=_WHITE,
                end_type="max", end_color=colours.high,
            )  # fmt: skip
        self._sheet.conditional_formatting.add(block.whole.seen_from(self.name), rule)
