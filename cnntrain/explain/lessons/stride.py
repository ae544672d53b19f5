"""Stride: a window that jumps, and a delta with zeros between its numbers."""

from __future__ import annotations

from math import gcd

from cnntrain.explain.document import Block, Formula, Heading, Table, Text
from cnntrain.explain.exercise import Exercise
from cnntrain.explain.figures import backward_slide, canvas, forward_slide, weight_slide
from cnntrain.explain.setting import Defaults, Given, one_channel
from cnntrain.explain.sliding import Axis

TITLE = "Stride: a window that jumps"
DELTA = "1 -1; 2 1/2"


def lesson(given: Given) -> list[Block]:
    """Return the lesson's blocks."""
    exercise = one_channel(given, Defaults(delta=(DELTA,), stride="2", padding="1"))
    rows, columns = exercise.law.rows, exercise.law.columns
    axes = [("rows", rows)] if rows == columns else [("rows", rows), ("columns", columns)]
    return [
        Text("With stride t the filter moves t pixels at a time, and the output is smaller by about that factor."),
        Formula(("z[i,j] = b + Σ w[r,s] · x[i·t − p + r·d, j·t − p + s·d]",)),
        Heading("Forward"),
        forward_slide(exercise),
        Heading("Back to the image: a dilated delta"),
        Text(
            "Forward, t − 1 positions between two outputs were left out. To slide back over all pixels, put zeros "
            "where those outputs would have been: the delta is dilated. Then it is the full convolution again, with "
            "stride 1."
        ),
        backward_slide(exercise),
        Heading("Which taps reach a pixel"),
        *_phases(exercise, axes),
        Heading("Back to the filter"),
        Text("Stride and dilation change places: the numbers of the delta lie t pixels apart, the window moves by d."),
        weight_slide(exercise),
    ]


def _phases(exercise: Exercise, axes: list[tuple[str, Axis]]) -> list[Block]:
    law = exercise.law
    values, faint = canvas(law, exercise.delta)
    products = law.rows.size * law.columns.size * law.rows.taps * law.columns.taps
    needed = sum(len(law.reaching(pixel)) for pixel in law.pixels())
    tables: list[Block] = []
    for word, axis in axes:
        tables += [
            *([Text(f"Along the {word}:")] if len(axes) > 1 else []),
            Table(
                ("pixel m", f"m mod {axis.stride}", "taps r and outputs i, with i·t + r·d − p = m"),
                tuple(
                    (
                        str(m + 1),
                        str(m % axis.stride),
                        ", ".join(f"tap {r + 1} of output {i + 1}" for r, i in axis.reaching(m)) or "none: gradient 0",
                    )
                    for m in range(axis.size)
                ),
            ),
        ]
    spacing = law.rows.stride // gcd(law.rows.stride, law.rows.dilation)
    return [
        Text(
            f"Of the {len(values) * len(values[0])} numbers of that delta {len(faint)} are zeros, and of the "
            f"{products} products above only {needed} are of numbers. Ask instead which taps reach pixel m (both axes "
            "obey the same law, each with its own numbers; here all count from 1):"
        ),
        *tables,
        Text(
            "Pixels with the same remainder form a phase and use the same taps, "
            f"{spacing} apart along the rows. Each phase is a small convolution of its own with stride 1; that is how "
            "the kernels do it, so nothing is multiplied by a zero."
        ),
    ]
