"""Forward: a filter slides over an image."""

from __future__ import annotations

from cnntrain.explain.document import Beside, Block, Formula, Heading, Text, matrix
from cnntrain.explain.exercise import Exercise
from cnntrain.explain.figures import forward_slide
from cnntrain.explain.letters import letter, letters
from cnntrain.explain.setting import Defaults, Given, one_channel
from cnntrain.explain.sliding import Axis
from cnntrain.explain.symbols import in_letters

TITLE = "Forward: a filter slides over an image"


def lesson(given: Given) -> list[Block]:
    """Return the lesson's blocks."""
    exercise = one_channel(given, Defaults())
    law, symbols = exercise.law, in_letters(exercise.law)
    rotated = (
        " The filter is rotated by 180° before it slides: a convolution in the strict sense." if law.rotated else ""
    )
    return [
        Text(
            "A filter w slides over an image x. Wherever it lies, the numbers that lie on one another are multiplied, "
            f"and the products and the bias b are added up: that is one number of the output z.{rotated}"
        ),
        Heading("In letters"),
        Formula(
            (f"z[i,j] = b + Σ w[{'R−1−r,S−1−s' if law.rotated else 'r,s'}] · x[i·t − p + r·d, j·t − p + s·d]",),
            "r, s count the filter's R rows and S columns; t is the stride, p the padding, d the dilation; outside the "
            "image x is 0; here all count from 0, below from 1",
        ),
        *([Text(symbols.note)] if symbols.note else []),
        Beside((
            letters("x", symbols.law.rows.size, symbols.law.columns.size, role="image"),
            "∗",
            letters("w", symbols.law.rows.taps, symbols.law.columns.taps, role="filter"),
            "=",
            letters("z", *symbols.law.output_size, role="output"),
        )),
        Formula(tuple(f"{letter('z', output)} = {symbols.z(output)} + b" for output in symbols.law.outputs())),
        Heading("In numbers"),
        *_size(exercise),
        forward_slide(exercise),
        *_other_mode(exercise),
    ]  # fmt: skip


def _size(exercise: Exercise) -> list[Block]:
    rows, columns = exercise.law.rows, exercise.law.columns
    return [
        Text("How often does the filter fit? Along the rows and along the columns, with H pixels and R taps,"),
        Formula((
            "⌊(H + p + p − d·(R − 1) − 1) / t⌋ + 1",
            f"{_count(rows)} rows of z",
            f"{_count(columns)} columns of z",
        )),
    ]  # fmt: skip


def _count(axis: Axis) -> str:
    inside = f"{axis.size} + {axis.before} + {axis.after} − {axis.dilation}·({axis.taps} − 1) − 1"
    return f"⌊({inside}) / {axis.stride}⌋ + 1 = {axis.outputs}"


def _other_mode(exercise: Exercise) -> list[Block]:
    """Say what comes out when the filter is turned: the two words are mixed up everywhere."""
    law = exercise.law
    turned = Exercise(
        exercise.images,
        exercise.filters,
        exercise.deltas,
        exercise.biases,
        type(law)(law.rows, law.columns, not law.rotated),
        {**exercise.settings, "mode": "cross_correlation" if law.rotated else "convolution"},
    )
    words = (
        "Without the rotation it is a cross-correlation, which is what frameworks call a convolution:"
        if law.rotated
        else "What slides here is the filter as it is: a cross-correlation, which frameworks call a convolution. In "
        "the strict sense a convolution rotates the filter by 180° first (`--mode convolution`):"
    )
    filter_ = [[turned.weight((r, s)) for s in range(law.columns.taps)] for r in range(law.rows.taps)]
    return [
        Text(words),
        Beside((
            matrix("x", exercise.images[0][0], role="image"),
            "∗",
            matrix("w" if law.rotated else "ROT180(w)", filter_, role="filter"),
            "=",
            matrix("z", turned.z(), role="output"),
        )),
    ]  # fmt: skip
