"""Windows that slide, with the numbers of an exercise: forward, back to the image, and over the image for a filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cnntrain.explain.document import Cell, Place, Slide, Step, Sum, matrix
from cnntrain.explain.exercise import Exercise
from cnntrain.explain.letters import letter, table
from cnntrain.explain.sliding import Axis, Sliding


class Names(NamedTuple):
    """The letters of an exercise."""

    image: str = "x"
    output: str = "z"
    loss: str = "L"
    delta: str = "δ"

    @property
    def by_image(self) -> str:
        return f"∂{self.loss}/∂{self.image}"

    @property
    def by_filter(self) -> str:
        return f"∂{self.loss}/∂w"


PLAIN = Names()


def forward_slide(exercise: Exercise, names: Names = PLAIN) -> Slide:
    """Return the filter sliding over the padded image."""
    law, rows, columns = exercise.law, exercise.law.rows, exercise.law.columns
    image, faint = padded(exercise)
    bias = exercise.biases[0]
    steps = []
    z = exercise.z()
    taps = frozenset(law.taps())
    for i, j in law.outputs():
        window = frozenset((rows.read(i, r) + rows.before, columns.read(j, s) + columns.before) for r, s in law.taps())
        terms: list[tuple[Cell, ...]] = [*exercise.z_terms((i, j)), *([(bias,)] if bias else [])]
        steps.append(Step(window, taps, (i, j), Sum(letter(names.output, (i, j)), tuple(terms), z[i][j])))
    sliding = table(rows.taps, columns.taps, exercise.weight)
    title = "ROT180(w)" if law.rotated else "w"
    return Slide(
        f"{names.output} = {title} over {names.image}",
        matrix(names.image, image, faint=faint, role="image"),
        matrix(title, sliding, role="filter"),
        matrix(names.output, z, role="output"),
        tuple(steps),
        (rows.dilation, columns.dilation),
    )


def padded(exercise: Exercise) -> tuple[list[list[Cell]], list[Place]]:
    """Return the image with the zeros around it, and where those are."""
    rows, columns = exercise.law.rows, exercise.law.columns
    inside = set(exercise.law.pixels())

    def pixel(place: Place) -> Place:
        return place[0] - rows.before, place[1] - columns.before

    values = table(rows.padded, columns.padded, lambda at: exercise.pixel(pixel(at) if pixel(at) in inside else None))
    faint = [(i, j) for i in range(rows.padded) for j in range(columns.padded) if pixel((i, j)) not in inside]
    return values, faint


def backward_slide(exercise: Exercise, names: Names = PLAIN) -> Slide:
    """Return the filter, turned against the way forward, sliding over the padded (and dilated) delta."""
    law, rows, columns = exercise.law, exercise.law.rows, exercise.law.columns
    turned = [tap for row in turned_taps(law) for tap in row]
    values, faint = canvas(law, exercise.delta)
    gradient = exercise.grad_input()
    steps = []
    for m, n in law.pixels():
        window = [_on_canvas(rows, columns, (m, n), tap) for tap in turned]
        terms = tuple((exercise.weight(tap), values[i][j]) for tap, (i, j) in zip(turned, window, strict=True))
        total = Sum(letter(names.by_image, (m, n)), terms, gradient[m][n])
        steps.append(Step(frozenset(window), frozenset(law.taps()), (m, n), total))
    title = "w" if law.rotated else "ROT180(w)"
    sliding = [[exercise.weight(tap) for tap in row] for row in turned_taps(law)]
    return Slide(
        f"{names.by_image} = {title} over the padded {names.delta}",
        matrix(f"{names.delta}, padded", values, faint=faint, role="delta"),
        matrix(title, sliding, role="filter"),
        matrix(names.by_image, gradient, role="gradient"),
        tuple(steps),
        (rows.dilation, columns.dilation),
    )


def canvas(law: Sliding, cell: Callable[[Place], Cell]) -> tuple[list[list[Cell]], list[Place]]:
    """Return the delta with the zeros around it and, with a stride, between its numbers; and where the zeros are."""
    values: list[list[Cell]] = []
    faint = []
    for a, i in enumerate(law.rows.canvas):
        values.append([])
        for b, j in enumerate(law.columns.canvas):
            row, column = law.rows.output_at(i), law.columns.output_at(j)
            if row is None or column is None:
                faint.append((a, b))
            values[-1].append(0 if row is None or column is None else cell((row, column)))
    return values, faint


def turned_taps(law: Sliding) -> list[list[Place]]:
    """Return the places of the sliding filter turned by 180°: what slides over the delta."""
    return [[(r, s) for s in reversed(range(law.columns.taps))] for r in reversed(range(law.rows.taps))]


def _on_canvas(rows: Axis, columns: Axis, pixel: Place, tap: Place) -> Place:
    i = pixel[0] + rows.before - tap[0] * rows.dilation - rows.canvas.start
    j = pixel[1] + columns.before - tap[1] * columns.dilation - columns.canvas.start
    return i, j


def weight_slide(exercise: Exercise, names: Names = PLAIN) -> Slide:
    """Return the delta sliding over the padded image: the gradient of the filter."""
    law, rows, columns = exercise.law, exercise.law.rows, exercise.law.columns
    image, faint = padded(exercise)
    gradient = exercise.grad_weight()
    outputs = frozenset(law.outputs())
    steps = []
    for tap in law.taps():
        at = law.weight(tap)
        window = frozenset(
            (rows.read(i, tap[0]) + rows.before, columns.read(j, tap[1]) + columns.before) for i, j in law.outputs()
        )
        total = Sum(letter(names.by_filter, at), tuple(exercise.weight_terms(at)), gradient[at[0]][at[1]])
        steps.append(Step(window, outputs, at, total))
    return Slide(
        f"{names.by_filter} = {names.delta} over {names.image}",
        matrix(names.image, image, faint=faint, role="image"),
        matrix(names.delta, exercise.deltas[0][0], role="delta"),
        matrix(names.by_filter, gradient, role="gradient"),
        tuple(steps),
        (rows.stride, columns.stride),
    )
