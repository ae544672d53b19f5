"""HTML from plain values. What comes from names and files is escaped here, and nowhere else."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cnntrain.printable import printable


def esc(text: object) -> str:
    """Return a text that HTML shows as it is, in elements and quoted attributes; what is invisible is written out."""
    return html.escape(printable(str(text), keep="\n"))


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    text : str
        What it shows; not yet escaped.
    value : float or None
        What it is sorted by; None sorts by the text.
    style : str
        Names of classes in page.css.
    bar : float or None
        A share of 1, drawn behind the text.
    """

    text: str
    value: float | None = None
    style: str = ""
    bar: float | None = None


def table(
    head: Sequence[str], rows: Iterable[Sequence[Cell | str]], caption: str, *, sortable: bool = False, name: str = ""
) -> str:
    """Return a table that scrolls by itself where it is too wide; a plain string is a cell of text.

    Parameters
    ----------
    head : sequence of str
    rows : iterable
        The first cell of each is its heading.
    caption : str
        Read by screen readers alone.
    sortable : bool
        A click on a heading sorts.
    name : str
        A class in page.css.
    """
    titles = "".join(
        f'<th scope="col">{f"<button type=button>{esc(title)}</button>" if sortable else esc(title)}</th>'
        for title in head
    )
    body = "".join(f"<tr>{''.join(_cell(cell, number == 0) for number, cell in enumerate(row))}</tr>" for row in rows)
    classes = " ".join(filter(None, ["sortable" if sortable else "", name]))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{esc(caption)}"><table class="{classes}">'
        f'<caption class="unseen">{esc(caption)}</caption><thead><tr>{titles}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(cell: Cell | str, is_first: bool) -> str:
    if isinstance(cell, str):
        cell = Cell(cell)
    attributes = f' class="{cell.style}"' if cell.style else ""
    if cell.value is not None:
        attributes += f' data-value="{cell.value!r}"'
    if cell.bar is not None:
        attributes += f' style="--share:{min(max(cell.bar, 0), 1):.4f}"'
    tag, scope = ("th", ' scope="row"') if is_first else ("td", "")
    return f"<{tag}{scope}{attributes}>{esc(cell.text)}</{tag}>"


def folded(summary: str, content: str, *, is_open: bool = False) -> str:
    """Return content that opens with a click on its summary."""
    return f"<details{' open' if is_open else ''}><summary>{esc(summary)}</summary>{content}</details>"


def part(title: str, content: str, note: str = "") -> str:
    """Return a titled part of a run's section."""
    said = f'<p class="note">{esc(note)}</p>' if note else ""
    return f'<section class="part"><h3>{esc(title)}</h3>{said}{content}</section>'
