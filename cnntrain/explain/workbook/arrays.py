"""Arrays of a network as blocks of a sheet: maps side by side, filters below each other, vectors in a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from cnntrain.explain.workbook.sheet import Block, Ref, Sheet, Value


@dataclass(frozen=True)
class Maps:
    """An image (channels, rows, columns): a block for each channel; of 1x1 maps, a line."""

    blocks: tuple[Block, ...]
    rows: int
    columns: int

    def at(self, index: tuple[int, ...]) -> Ref:
        """Return the cell of (channel, row, column)."""
        c, i, j = index
        return self.blocks[c].at(i, j)

    @property
    def indices(self) -> list[tuple[int, int, int]]:
        """All (channel, row, column), in order."""
        places = [(i, j) for i in range(self.rows) for j in range(self.columns)]
        return [(c, i, j) for c in range(len(self.blocks)) for i, j in places]


def maps(
    sheet: Sheet,
    title: str,
    formula: str,
    shape: tuple[int, int, int],
    value: Callable[[int, int, int], Value],
    look: str,
    *,
    is_input: bool = False,
    names: str = "channel",
) -> Maps:
    """Write an image: channels side by side.

    Parameters
    ----------
    sheet : Sheet
    title, formula : str
        What it is, and how it is made, in letters.
    shape : (channels, rows, columns)
    value : callable
        From channel, row, column to the number or the formula.
    look : str
        One of `LOOKS`.
    is_input : bool
        The reader may change the numbers.
    names : str
        What a block is called.
    """
    channels, rows, columns = shape
    if title:
        sheet.heading(title, formula, look)
    if rows == columns == 1:
        sheet.labels([str(c) for c in range(channels)])
        line = sheet.matrix(1, channels, lambda _, c: value(c, 0, 0), look, is_input=is_input)
        sheet.end(1)
        return Maps(tuple(Block(sheet.name, line.top, line.left + c, 1, 1) for c in range(channels)), 1, 1)
    for c in range(channels):
        sheet.text(sheet.row, 2 + c * (columns + 1), f"{names} {c}")
    sheet.end(0)
    blocks = [
        sheet.matrix(rows, columns, partial(value, c), look, left=2 + c * (columns + 1), is_input=is_input)
        for c in range(channels)
    ]
    sheet.end(rows)
    return Maps(tuple(blocks), rows, columns)


@dataclass(frozen=True)
class Learned:
    """A learned array, or one like it: maps of each filter, a matrix, or a line.

    Attributes
    ----------
    shape : tuple of int
    at : callable
        From an index to the cell.
    filters : tuple of Maps
        Of four dimensions: one for each filter.
    block : Block or None
        Of one or two dimensions.
    """

    shape: tuple[int, ...]
    at: Callable[[tuple[int, ...]], Ref]
    filters: tuple[Maps, ...] = ()
    block: Block | None = None


def _of_filter(value: Callable[[tuple[int, ...]], Value], k: int) -> Callable[[int, int, int], Value]:
    return lambda c, r, s: value((k, c, r, s))


def learned(
    sheet: Sheet,
    title: str,
    formula: str,
    shape: tuple[int, ...],
    value: Callable[[tuple[int, ...]], Value],
    look: str,
    *,
    is_input: bool = False,
) -> Learned:
    """Write an array of one, two or four dimensions; parameters as of `maps`, `value` from an index."""
    sheet.heading(title, formula, look)
    if len(shape) == 4:
        filters = []
        for k in range(shape[0]):
            sheet.text(sheet.row, 1, f"filter {k}")
            made = maps(sheet, "", "", (shape[1], shape[2], shape[3]), _of_filter(value, k), look, is_input=is_input)
            filters.append(made)
        return Learned(shape, lambda index: filters[index[0]].at(index[1:]), tuple(filters))
    rows, columns = shape if len(shape) == 2 else (1, shape[0])
    sheet.labels([str(j) for j in range(columns)])
    if len(shape) == 2:
        sheet.labels([str(i) for i in range(rows)], left=1, below=True)
    block = sheet.matrix(
        rows, columns, lambda i, j: value((i, j) if len(shape) == 2 else (j,)), look, is_input=is_input
    )
    sheet.end(rows)
    return Learned(shape, lambda index: block.at(*(index if len(index) == 2 else (0, index[0]))), (), block)
