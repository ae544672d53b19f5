"""Tables of text: columns that stand below each other, and what becomes of them where there is no room."""

from __future__ import annotations

from collections.abc import Collection, Sequence

GAP = "  "


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> list[str]:
    """Return one line for each row: the columns of `left` aligned to the left, the others to the right.

    Parameters
    ----------
    rows : sequence of sequence of str
        All of one length; usually the first is the head.
    left : collection of int
        Numbers of columns, from 0.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def fitted(rows: Sequence[Sequence[str]], width: int | None, left: Collection[int] = (0,)) -> list[str]:
    """Return `aligned` lines if they fit, else those of the table turned round, else a block for each row.

    A block is a row's first cell, and the others below it, each with its name.

    Parameters
    ----------
    rows : sequence of sequence of str
        The first is the head.
    width : int or None
        Characters in a line; None has room for any.
    left : collection of int
        As for `aligned`.
    """
    lines = aligned(rows, left)
    if width is None or max(map(len, lines)) <= width:
        return lines
    turned = aligned(list(zip(*rows, strict=True)))
    if max(map(len, turned)) <= width:
        return turned
    head, *body = rows
    blocks: list[str] = []
    for row in body:
        cells = [(name, cell) for name, cell in zip(head[1:], row[1:], strict=True) if cell]
        blocks += ["", *wrapped([row[0]], width)]
        blocks += [f"  {line}" for line in aligned(cells, left=(0, 1))] if cells else []
    return blocks[1:]


def wrapped(parts: Sequence[str], width: int | None, indent: int = 0) -> list[str]:
    """Put parts, two blanks between them, into as many lines as it takes; a part too long for a line has its own.

    Parameters
    ----------
    parts : sequence of str
        At least one.
    width : int or None
        Characters in a line.
    indent : int
        Blanks before all lines but the first.
    """
    lines = [parts[0]]
    for part in parts[1:]:
        longer = f"{lines[-1]}{GAP}{part}"
        if width is None or len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(" " * indent + part)
    return lines
