"""The first sheet: what the workbook is, how it is used, and what has changed since it was written."""

from __future__ import annotations

from collections.abc import Sequence

from openpyxl.styles import Font  # type: ignore[import-untyped]

from cnntrain.explain.example import Example
from cnntrain.explain.trace import Trace
from cnntrain.explain.workbook.sheet import LOOKS, Book, Ref, Sheet

_LINK = Font(color="1D4ED8", underline="single")
_BOLD = Font(bold=True)


def front_sheet(book: Book, sheet: Sheet, example: Example, trace: Trace, layers: Sequence[str], loss: Ref) -> None:
    """Fill it."""
    sheet.width(1, 22)
    sheet.text(1, 1, "One step of backpropagation, in formulas", Font(bold=True, size=18))
    sheet.text(2, 1, f"{example.name}: {example.origin}; {example.title}; step {trace.step}", Font(italic=True))
    words = [
        "Everything is computed by the formulas of the cells: forward, loss, delta, gradients, update.",
        "Change a pixel, a weight, the label, the learning rate (pixels, and what is on yellow): the rest follows.",
        "Click a cell to see its sum: SUMPRODUCT(filter, window). Filters of the way back are rotated by 180°.",
    ]
    for row, line in enumerate(words, 4):
        sheet.text(row, 1, line)
    sheet.text(8, 1, "loss now", _BOLD)
    now = sheet.put(8, 2, sheet.seen(loss), "0.000000")
    sheet.text(9, 1, "loss by the kernels", _BOLD)
    sheet.put(9, 2, trace.loss, "0.000000")
    sheet.text(9, 3, "when this file was written")
    sheet.text(10, 1, "difference", _BOLD)
    sheet.put(10, 2, f"{sheet.seen(now)}-B9", "0.0E+00")
    sheet.text(10, 3, "nothing but rounding, until you change something")
    sheet.text(12, 1, "Sheets", _BOLD)
    row = 13
    for name in ("Image", *layers, "Loss", "Step"):
        sheet.text(row, 1, name, _LINK, link=name)
        row += 1
    sheet.text(row + 1, 1, "Colours", _BOLD)
    meanings = {
        "pixel": "pixels as they are stored", "weight": "learned numbers, masks", "forward": "forward: outputs",
        "delta": "backward: dL/d(input), the delta", "gradient": "dL/d(weight), dL/d(bias)", "update": "after the step",
    }  # fmt: skip
    for number, (look, meaning) in enumerate(meanings.items(), row + 2):
        sheet.text(number, 1, meaning, Font(bold=True, color=LOOKS[look].heading))
    sheet.fill(row + 2 + len(meanings), 1, "numbers that you may change")
    for number, note in enumerate(example.notes, row + 4 + len(meanings)):
        sheet.text(number, 1, f"note: {note}", Font(italic=True))
