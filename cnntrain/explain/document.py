"""What a lesson is made of: headings, words, formulas, matrices of numbers, sums written out.

A document says what is shown, never how: `terminal.py` renders it for a terminal, others may do so for a page.
Every class is a frozen dataclass of plain values; a renderer needs a function for each member of `Block`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from cnntrain.explain.numbers import Number, readable

Cell = Number | str  # a letter, such as "w11", or a number
Place = tuple[int, int]  # (row, column), from 0
# What a matrix holds; a page may give each a colour of its own.
Role = Literal["image", "filter", "output", "delta", "gradient", "mask", "plain"]


@dataclass(frozen=True)
class Heading:
    """A title: level 1 for the lesson's own, 2 for its sections."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph of words; `code` between backticks, nothing else is markup."""

    text: str


@dataclass(frozen=True)
class Formula:
    """Lines of mathematics in Unicode, to be shown as they are, one below the other; `note` says whence."""

    lines: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Matrix:
    """A named table of numbers or letters.

    Attributes
    ----------
    name : str
        Shown above it; empty for none.
    values : tuple of rows
        Rows of numbers, or of letters, all of one length.
    highlight : frozenset of (row, column)
        The window at hand, or what a sum came from or went to.
    faint : frozenset of (row, column)
        Padding, cut connections: there, but not from the user's numbers.
    role : str
        What it holds.
    """

    name: str
    values: tuple[tuple[Cell, ...], ...]
    highlight: frozenset[Place] = frozenset()
    faint: frozenset[Place] = frozenset()
    role: Role = "plain"

    def texts(self) -> tuple[tuple[str, ...], ...]:
        """Return the cells as they are to be read."""
        return tuple(tuple(cell if isinstance(cell, str) else readable(cell) for cell in row) for row in self.values)


@dataclass(frozen=True)
class Beside:
    """Matrices and the signs between them in one line: image ∗ filter = output."""

    items: tuple[Matrix | str, ...]


@dataclass(frozen=True)
class Sum:
    """A sum written out: name = term + term + ... = value, and each term a product.

    Attributes
    ----------
    name : str
        What is computed: "z11".
    terms : tuple of tuple of cells
        The factors of each term, as numbers or letters.
    value : number or str
        Of the kernels, and equal to the sum.
    note : str
        Said behind it.
    """

    name: str
    terms: tuple[tuple[Cell, ...], ...]
    value: Cell
    note: str = ""


@dataclass(frozen=True)
class Step:
    """One position of a window: which numbers it covers, which number comes out, and the sum between them."""

    window: frozenset[Place]  # in Slide.image
    taps: frozenset[Place]  # in Slide.filter
    output: Place
    sum: Sum


@dataclass(frozen=True)
class Slide:
    """A window that slides: a page may play it, a terminal shows the steps one below the other.

    Attributes
    ----------
    name : str
    image : Matrix
        What it slides over, with its padding (faint).
    filter : Matrix
        What it multiplies with, rotated if it is.
    output : Matrix
        All that comes out.
    steps : tuple of Step
        In the order of the output, rows first.
    dilation : (rows, columns)
        How far the taps of the filter lie apart in the image.
    """

    name: str
    image: Matrix
    filter: Matrix
    output: Matrix
    steps: tuple[Step, ...]
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Table:
    """Rows of cells below a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def texts(self) -> tuple[tuple[str, ...], ...]:
        """Return the cells as they are to be read."""
        return tuple(tuple(cell if isinstance(cell, str) else readable(cell) for cell in row) for row in self.rows)


@dataclass(frozen=True)
class Link:
    """Where to read on: a file of the repository with its section, "docs/mathematics.md#forward"."""

    text: str
    target: str


Block = Heading | Text | Formula | Matrix | Beside | Sum | Slide | Table | Link


@dataclass(frozen=True)
class Document:
    """A lesson, ready to be rendered.

    Attributes
    ----------
    name : str
        As on the command line: "full-convolution".
    title : str
    blocks : tuple of blocks
    """

    name: str
    title: str
    blocks: tuple[Block, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Return plain lists, strings and numbers for JSON; each block says its `kind`."""
        return {"lesson": self.name, "title": self.title, "blocks": [_plain_block(block) for block in self.blocks]}


def sums_of(blocks: Iterable[Block]) -> Iterator[Sum]:
    """Yield every sum that blocks write out, those of windows that slide among them."""
    for block in blocks:
        if isinstance(block, Sum):
            yield block
        elif isinstance(block, Slide):
            yield from (step.sum for step in block.steps)


def matrix(
    name: str,
    values: Iterable[Iterable[Cell]],
    *,
    highlight: Iterable[Place] = (),
    faint: Iterable[Place] = (),
    role: Role = "plain",
) -> Matrix:
    """Make a `Matrix` of any rows of cells; an array's numbers become Python's."""
    rows = tuple(tuple(cell if isinstance(cell, str) else _number(cell) for cell in row) for row in values)
    return Matrix(name, rows, frozenset(highlight), frozenset(faint), role)


def _number(value: Any) -> Number:
    number: Number = value.item() if hasattr(value, "item") else value
    return number


def _plain_block(block: Block) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(asdict(block))
    if isinstance(block, Beside):
        plain["items"] = [item if isinstance(item, str) else _plain(asdict(item)) for item in block.items]
    return {"kind": type(block).__name__.lower(), **plain}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, frozenset):
        return [list(place) for place in sorted(value)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value if isinstance(value, int | float | str) or value is None else float(value)
