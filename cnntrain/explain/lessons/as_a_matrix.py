"""Convolution as a dense layer with cut and shared connections; its transpose is the full convolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain import functional
from cnntrain.errors import ArgumentError
from cnntrain.explain.agreement import agreed
from cnntrain.explain.document import Beside, Block, Cell, Heading, Matrix, Place, Sum, Text, matrix
from cnntrain.explain.exercise import Exercise, floats
from cnntrain.explain.letters import letter
from cnntrain.explain.numbers import Number
from cnntrain.explain.setting import Defaults, Given, one_channel
from cnntrain.explain.sliding import Sliding
from cnntrain.explain.symbols import in_letters

TITLE = "A convolution as a matrix, and why the filter is rotated"
DELTA = "1 -1; 2 1/2"
Connections = list[list[Number | None]]
MOST = 25  # pixels or outputs: rows and columns of the matrix


def lesson(given: Given) -> list[Block]:
    """Return the lesson's blocks."""
    exercise = one_channel(given, Defaults(delta=(DELTA,)))
    law = exercise.law
    pixels, outputs = list(law.pixels()), list(law.outputs())
    if max(len(pixels), len(outputs)) > MOST:
        raise ArgumentError(
            f"lesson as-a-matrix shows at most {MOST} pixels and {MOST} outputs; received {len(pixels)} and "
            f"{len(outputs)}"
        )
    connections = _connections(exercise)
    symbols = in_letters(law)
    z, back = _by_dense_layer(exercise, connections)
    middle = max(pixels, key=lambda pixel: len(law.reaching(pixel)))
    return [
        Text(
            "Write the image as one column, pixel below pixel. In a dense layer each output has a weight for each "
            "pixel: a matrix M with a row for each output. A convolution is a dense layer, too, whose connections are "
            "cut (· is a weight that is not there) and shared: each row of M holds the same filter, moved by a stride."
        ),
        *([Text(symbols.note)] if symbols.note else []),
        _letters(symbols.law),
        Heading("Forward: z = M x"),
        _line("M", connections, z, [v for row in exercise.images[0][0] for v in row], "x", "z"),
        Text("The kernel of dense layers, with this M, gives the same numbers as that of convolutions."),
        Heading("Backward: ∂L/∂x = Mᵀ δ"),
        Text(
            "For any matrix, z = M x gives ∂z[i]/∂x[j] = M[i,j], and by the chain rule ∂L/∂x[j] = Σ_i δ[i] M[i,j]: "
            "the sum now runs along a column of M. Transposed, the column is a row:"
        ),
        _line("Mᵀ", _transposed(connections), back, [v for row in exercise.deltas[0][0] for v in row], "δ", "∂L/∂x"),
        Heading("Why is the filter rotated?"),
        *_why(exercise, middle, connections),
        *_shared(exercise),
    ]


def _connections(exercise: Exercise) -> Connections:
    """Return M, a row for each output; None where there is no connection."""
    law = exercise.law
    rows: Connections = []
    for output in law.outputs():
        read = {law.read(output, tap): exercise.weight(tap) for tap in law.taps()}
        rows.append([read.get(pixel) for pixel in law.pixels()])
    return rows


def _by_dense_layer(exercise: Exercise, connections: Connections) -> tuple[list[float], list[float]]:
    """Return z and ∂L/∂x of the dense kernels, compared with the sums and with the convolution's kernels."""
    law, full = exercise.law, _filled(connections)
    x, delta = floats(exercise.images[0][0]).ravel(), floats(exercise.deltas[0][0]).ravel()
    z = functional.dense(x, full, np.full(len(full), float(exercise.biases[0])))
    back = functional.dense_backward(delta, x, full)[0]
    forward, gradient = exercise.z(), exercise.grad_input()
    outputs = [
        agreed(f"M x, {letter('z', output)}", value, [(forward[output[0]][output[1]],)])
        for output, value in zip(law.outputs(), z, strict=True)
    ]
    inputs = [
        agreed(f"Mᵀδ, {letter('∂L/∂x', pixel)}", value, [(gradient[pixel[0]][pixel[1]],)])
        for pixel, value in zip(law.pixels(), back, strict=True)
    ]
    return outputs, inputs


def _filled(connections: Connections) -> NDArray[np.float64]:
    return floats([[0 if weight is None else weight for weight in row] for row in connections])


def _transposed(connections: Connections) -> Connections:
    return [list(row) for row in zip(*connections, strict=True)]


def _shown(name: str, rows: Connections, highlight: list[Place] | None = None) -> Matrix:
    values: list[list[Cell]] = [[0 if weight is None else weight for weight in row] for row in rows]
    faint = [(i, j) for i, row in enumerate(rows) for j, weight in enumerate(row) if weight is None]
    return matrix(name, values, faint=faint, highlight=highlight or [], role="filter")


def _line(name: str, rows: Connections, result: list[float], vector: list[Number], of: str, gives: str) -> Beside:
    return Beside((
        _shown(name, rows),
        matrix(of, [[value] for value in vector], role="image" if of == "x" else "delta"),
        "=",
        matrix(gives, [[value] for value in result], role="output" if of == "x" else "gradient"),
    ))  # fmt: skip


def _letters(law: Sliding) -> Block:
    rows: list[list[Cell]] = []
    faint = []
    for i, output in enumerate(law.outputs()):
        read = {law.read(output, tap): letter("w", law.weight(tap)) for tap in law.taps()}
        rows.append([read.get(pixel, "0") for pixel in law.pixels()])
        faint += [(i, j) for j, cell in enumerate(rows[-1]) if cell == "0"]
    return Beside((
        matrix("M", rows, faint=faint, role="filter"),
        matrix("x", [[letter("x", pixel)] for pixel in law.pixels()], role="image"),
        "=",
        matrix("z", [[letter("z", output)] for output in law.outputs()], role="output"),
    ))  # fmt: skip


def _why(exercise: Exercise, pixel: Place, connections: Connections) -> list[Block]:
    law = exercise.law
    row = list(law.pixels()).index(pixel)
    transposed = _transposed(connections)
    marked = [(row, i) for i, weight in enumerate(transposed[row]) if weight is not None]
    gradient = exercise.grad_input()
    backwards = [weight for weight in transposed[row] if weight is not None]
    return [
        Text(
            f"A row of M is the filter from its first weight to its last. Look at the row of Mᵀ for pixel "
            f"{letter('x', pixel)}: there they stand the other way round. The first output that read this pixel did "
            "so with its last tap, the last output with its first. As a plane that is the filter rotated by 180°, and "
            "the rows of Mᵀ are what the rotated filter does when it slides over the padded δ: the full convolution "
            "is the transpose of the convolution. Nothing else rotates it."
        ),
        _shown("Mᵀ", transposed, marked),
        Beside((
            matrix("w" if not law.rotated else "ROT180(w)", _filter(exercise), role="filter"), "",
            matrix(f"row {row + 1} of Mᵀ", [backwards], role="filter"),
        )),
        Sum(letter("∂L/∂x", pixel), tuple(_in_order(exercise, pixel)), gradient[pixel[0]][pixel[1]]),
    ]  # fmt: skip


def _filter(exercise: Exercise) -> list[list[Number]]:
    law = exercise.law
    return [[exercise.weight((r, s)) for s in range(law.columns.taps)] for r in range(law.rows.taps)]


def _in_order(exercise: Exercise, pixel: Place) -> list[tuple[Number, Number]]:
    """Return (weight, delta) of a pixel in the order of the outputs."""
    found = sorted(exercise.law.reaching(pixel), key=lambda each: each[1])
    return [(exercise.weight(tap), exercise.delta(output)) for tap, output in found]


def _shared(exercise: Exercise) -> list[Block]:
    """Show that a shared weight's gradient is the sum over the places of M where it stands."""
    law = exercise.law
    x, delta = floats(exercise.images[0][0]).ravel(), floats(exercise.deltas[0][0]).ravel()
    full = functional.dense_backward(delta, x, _filled(_connections(exercise)))[1]
    pixels = {pixel: j for j, pixel in enumerate(law.pixels())}
    place = law.weight((0, 0))
    marked = [
        (i, pixels[read]) for i, output in enumerate(law.outputs()) if (read := law.read(output, (0, 0))) is not None
    ]
    values = [
        [
            agreed(f"δxᵀ[{i + 1},{j + 1}]", full[i, j], [(exercise.delta(output), exercise.pixel(pixel))])
            for j, pixel in enumerate(law.pixels())
        ]
        for i, output in enumerate(law.outputs())
    ]
    gradient = exercise.grad_weight()
    return [
        Heading("The gradient of a shared weight"),
        Text(
            "A dense layer's weights have the gradient δ xᵀ, one number for each connection. A weight that stands in "
            f"several places takes them all: those of {letter('w', place)} are marked, and their sum is its gradient. "
            "What is cut is not learned."
        ),
        matrix("δ xᵀ", values, highlight=marked, role="gradient"),
        Sum(
            letter("∂L/∂w", place),
            tuple((values[i][j],) for i, j in marked) or ((0,),),
            gradient[place[0]][place[1]],
        ),
    ]
