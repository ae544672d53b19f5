"""Which class was taken for which: the confusion matrix as a drawing and as a list, and what follows for each class."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from cnntrain.evaluation.evaluate import Evaluation
from cnntrain.evaluation.metrics import Confusion, Quality
from cnntrain.printable import printable
from cnntrain.report.answers import Answers
from cnntrain.report.markup import Cell, esc, folded, table
from cnntrain.report.summary import share

WIDEST = 100  # classes of a drawing; of more, the list alone is shown
COUNTED = 20  # classes up to which counts stand in the cells
LISTED = 200  # confusions in the list
LONGEST = 14  # characters of a class's name at the drawing's edge
SIDE = 400  # of the square, for many classes
LETTER = 6.3  # width of a letter at the edge, about


def shortened(name: str) -> str:
    """Return a name of at most `LONGEST` characters."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def matrix_svg(answers: Answers, index: int) -> str:
    """Return the matrix: a row for each class, a column for each answer, darker where more of the class went there.

    Parameters
    ----------
    answers : Answers
        Of at most `WIDEST` classes.
    index : int
        Its place in the page's list of matrices.
    """
    confusion, names = answers.evaluation.confusion, [shortened(name) for name in answers.class_names]
    left, top, cell = _layout(names)
    width, height = left + cell * len(names) + 4, top + cell * len(names) + 4
    return (
        f'<figure class="matrix"><svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" tabindex="0" '
        f'data-matrix="{index}" style="max-width:{min(width * 1.25, 640):.0f}px" '
        f'aria-label="Confusion matrix. Rows: classes, columns: answers. Arrow keys read cells; a list is below.">'
        f'<rect class="field" x="{left}" y="{top}" width="{cell * len(names):.1f}" height="{cell * len(names):.1f}"/>'
        f"{''.join(_cells(confusion, left, top, cell))}{''.join(_edges(names, left, top, cell))}"
        f'<rect class="mark" width="{cell:.2f}" height="{cell:.2f}" hidden=""/></svg>'
        f'<div class="tip" hidden></div><p class="unseen" aria-live="polite"></p></figure>'
    )


def matrix_data(answers: Answers) -> dict[str, Any]:
    """Return what page.js needs to name cells."""
    confusion = answers.evaluation.confusion
    left, top, cell = _layout([shortened(name) for name in answers.class_names])
    pairs = zip(confusion.label.tolist(), confusion.predicted.tolist(), confusion.count.tolist(), strict=True)
    return {
        "names": [printable(name) for name in answers.class_names],
        "left": left,
        "top": top,
        "cell": cell,
        "images": confusion.images.tolist(),
        "counts": {f"{label},{predicted}": count for label, predicted, count in pairs},
    }


def confusions(answers: Answers) -> str:
    """Return the pairs that were confused, the most frequent first, as a table."""
    confusion, names = answers.evaluation.confusion, answers.class_names
    images, mistakes = confusion.images.tolist(), confusion.mistakes()
    rows: list[list[Cell | str]] = [
        [
            names[label],
            names[taken],
            Cell(f"{count:,}", count),
            Cell(share(count / images[label]), count / images[label]),
        ]
        for label, taken, count in mistakes[:LISTED]
    ]
    if not rows:
        return '<p class="note">No image was taken for another class.</p>'
    more = f"<p>… and {len(mistakes) - LISTED:,} more pairs</p>" if len(mistakes) > LISTED else ""
    head = ["class", "taken for", "images", "of the class"]
    content = table(head, rows, "Confusions, the most frequent first", sortable=True) + more
    return folded(f"All confusions ({len(mistakes):,} pairs)", content, is_open=len(names) > WIDEST)


def class_table(answers: Answers) -> str:
    """Return how well each class is recognised, as a table that can be sorted."""
    evaluation = answers.evaluation
    rows = list(_classes(evaluation, answers.class_names))
    head = ["class", "images", "correct", "recall", "precision", "F1", "taken for"]
    return table(head, rows, "How well each class is recognised", sortable=True, name="classes") + table(
        ["average", "recall", "precision", "F1"],
        [[name, *_shares(quality)] for name, quality in evaluation.averages.items()],
        "Averages over the classes",
        name="averages",
    )


def _classes(evaluation: Evaluation, names: Sequence[str]) -> Iterator[list[Cell | str]]:
    confusion = evaluation.confusion
    most: dict[int, tuple[int, int]] = {}
    for label, taken, count in confusion.mistakes():
        most.setdefault(label, (taken, count))
    counts = zip(confusion.images.tolist(), confusion.right.tolist(), strict=True)
    for label, (images, right) in enumerate(counts):
        other, times = most.get(label, (label, 0))
        yield [
            names[label],
            Cell(f"{images:,}", images),
            Cell(f"{right:,}", right),
            *_shares(evaluation.class_qualities[label]),
            Cell(f"{names[other]} ({times:,})" if times else "", times),
        ]


def _shares(quality: Quality) -> list[Cell]:
    values = (quality.recall, quality.precision, quality.f1)
    cells = [Cell(share(value), -1.0 if value is None else value) for value in values]
    return [Cell(cells[0].text, cells[0].value, "share", quality.recall or 0.0), *cells[1:]]


def _layout(names: Sequence[str]) -> tuple[float, float, float]:
    """Return the room at the left and at the top, and the side of a cell."""
    cell = 36.0 if len(names) <= 12 else 26.0 if len(names) <= COUNTED else max(SIDE / len(names), 4.5)
    if len(names) > 50:
        return 18, 18, cell
    longest = max(map(len, names)) * LETTER
    return round(longest + 26), round(22 + (longest if _turned(names, cell) else 10)), cell


def _turned(names: Sequence[str], cell: float) -> bool:
    return max(map(len, names)) * LETTER > cell - 4


def _cells(confusion: Confusion, left: float, top: float, cell: float) -> Iterator[str]:
    images, gap = confusion.images.tolist(), 1 if cell > 8 else 0
    columns = (confusion.label.tolist(), confusion.predicted.tolist(), confusion.count.tolist())
    for label, predicted, count in zip(*columns, strict=True):
        of_class = count / images[label]
        x, y, side = left + predicted * cell, top + label * cell, cell - gap
        style = "right" if label == predicted else "wrong"
        opacity = 0.2 + 0.8 * math.sqrt(of_class)
        yield (
            f'<rect class="{style}" x="{x:.2f}" y="{y:.2f}" width="{side:.2f}" height="{side:.2f}" '
            f'fill-opacity="{opacity:.2f}"/>'
        )
        if confusion.classes <= COUNTED:
            ink = "on" if opacity > 0.82 else "half" if opacity > 0.68 else "off"
            size = 12 if count < 10_000 and cell > 30 else 9 if count < 10_000 else 7
            yield (
                f'<text class="count {ink}" x="{x + cell / 2:.1f}" y="{y + cell / 2 + 0.35 * size:.1f}" '
                f'font-size="{size}">{count}</text>'
            )


def _edges(names: Sequence[str], left: float, top: float, cell: float) -> Iterator[str]:
    across, down = left + len(names) * cell / 2, top + len(names) * cell / 2
    yield f'<text class="axis" x="{across:.0f}" y="11">answer</text>'
    yield f'<text class="axis" transform="translate(11 {down:.0f}) rotate(-90)">class</text>'
    if len(names) > 50:
        return
    size = min(11.5, cell * 0.95)
    for index, name in enumerate(names):
        middle = index * cell + cell / 2
        yield (
            f'<text class="name" x="{left - 5}" y="{top + middle + 0.35 * size:.1f}" font-size="{size:.1f}" '
            f'text-anchor="end">{esc(name)}</text>'
        )
        place = f"translate({left + middle + 0.35 * size:.1f} {top - 5}) rotate(-90)"
        if not _turned(names, cell):
            place = f"translate({left + middle:.1f} {top - 5})"
        anchor = "start" if _turned(names, cell) else "middle"
        yield f'<text class="name" transform="{place}" font-size="{size:.1f}" text-anchor="{anchor}">{esc(name)}</text>'
