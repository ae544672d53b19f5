"""Max-pooling: the winner of each window, the mask, and where gradients go back to."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from cnntrain import functional
from cnntrain.explain import given as read
from cnntrain.explain.agreement import agreed
from cnntrain.explain.document import Beside, Block, Cell, Formula, Heading, Matrix, Place, Sum, Text, matrix
from cnntrain.explain.exercise import Plane, Values, floats
from cnntrain.explain.letters import letter, table
from cnntrain.explain.numbers import Number, readable
from cnntrain.explain.setting import Given, check_delta, plane, sample, text
from cnntrain.explain.sliding import Sliding, sliding

TITLE = "Max-pooling: the winner takes the gradient"
IMAGE = "1 2 3; 4 10 5; 11 12 13"


@dataclass(frozen=True)
class _Pooling:
    """An image under windows; winners by plain comparison, the same as the kernels'."""

    image: Plane
    law: Sliding
    y: Values
    winners: dict[Place, Place]
    delta: Plane
    own_loss: bool  # delta is that of L = Σ −log y
    grad_input: Values

    def window(self, output: Place) -> list[Place]:
        return _window(self.law, output)


def lesson(given: Given) -> list[Block]:
    """Return the lesson's blocks."""
    pooling = _pooling(given)
    law = pooling.law
    size, stride = (law.rows.taps, law.columns.taps), (law.rows.stride, law.columns.stride)
    overlap = any(s < t for s, t in zip(stride, size, strict=True))
    return [
        Text(
            f"A window of {size[0]}x{size[1]} moves over the image by {stride[0]},{stride[1]} (rows, columns) and "
            f"gives its largest number. {'The windows overlap. ' if overlap else ''}Nothing is learned here."
        ),
        Formula(("y[i,j] = max over the window of x",)),
        Heading("Forward: the winner, and the mask"),
        *[block for output in law.outputs() for block in _forward(pooling, output)],
        Text(
            "Where the winner was has to be remembered: the mask holds its row · width + column, counted from 0. If "
            "numbers tie, the first of them wins."
        ),
        Beside((matrix("y", pooling.y, role="output"), "", matrix("mask", _mask(pooling), role="mask"))),
        *_chain_rule(pooling),
        *_backward(pooling),
    ]


def _pooling(given: Given) -> _Pooling:
    image = plane(given, "image", IMAGE)
    size = read.pair("--window", text(given, "window", "2"), 1)
    stride = read.pair("--stride", text(given, "stride", "1"), 1)
    law = sliding((len(image), len(image[0])), size, stride, what="window")
    kernel, mask = functional.max_pool2d(floats(image), size, stride=stride)
    y: Values = [[0.0] * law.columns.outputs for _ in range(law.rows.outputs)]
    winners = {}
    for output in law.outputs():
        best = max(_window(law, output), key=lambda place: (image[place[0]][place[1]], -place[0], -place[1]))
        winners[output] = best
        y[output[0]][output[1]] = agreed(letter("y", output), kernel[output], [(image[best[0]][best[1]],)])
        agreed(letter("mask", output), mask[output], [(best[0] * law.columns.size + best[1],)])
    own_loss = not given.get("delta") and all(value > 0 for row in y for value in row)
    delta: Plane
    if given.get("delta"):
        delta = plane(given, "delta", "")
    else:
        delta = [[Fraction(-1) / Fraction(v) for v in row] for row in y] if own_loss else sample(*law.output_size)
    check_delta(delta, law)
    back = functional.max_pool2d_backward(floats(delta), mask, (len(image), len(image[0])), size, stride=stride)
    gradient = [
        [agreed(letter("∂L/∂x", (m, n)), back[m, n], _terms(winners, delta, (m, n))) for n in range(law.columns.size)]
        for m in range(law.rows.size)
    ]
    return _Pooling(image, law, y, winners, delta, own_loss, gradient)


def _window(law: Sliding, output: Place) -> list[Place]:
    return [place for tap in law.taps() if (place := law.read(output, tap)) is not None]


def _terms(winners: dict[Place, Place], delta: Plane, pixel: Place) -> list[tuple[Number]]:
    """Return the deltas of the windows that a pixel won."""
    return [(delta[i][j],) for (i, j), winner in winners.items() if winner == pixel]


def _mask(pooling: _Pooling) -> list[list[Cell]]:
    def place(output: Place) -> Cell:
        row, column = pooling.winners[output]
        return row * pooling.law.columns.size + column

    return table(*pooling.law.output_size, place)


def _forward(pooling: _Pooling, output: Place) -> list[Block]:
    window, winner = pooling.window(output), pooling.winners[output]
    numbers = ", ".join(readable(pooling.image[m][n]) for m, n in window)
    value = readable(pooling.y[output[0]][output[1]])
    where = f"row {winner[0] + 1}, column {winner[1] + 1}"
    return [
        Beside((
            matrix("", pooling.image, highlight=window, role="image"), "→",
            matrix("", pooling.y, highlight=[output], role="output"),
        )),
        Formula((f"{letter('y', output)} = max({numbers}) = {value}   at {where}",)),
    ]  # fmt: skip


def _chain_rule(pooling: _Pooling) -> list[Block]:
    outputs = list(pooling.law.outputs())
    return [
        Heading("The chain rule"),
        Text(
            "Move a number that did not win a little, and nothing happens. Move the winner, and y moves with it. So "
            "the derivative of each y is 1 by its winner and 0 by all others:"
        ),
        Beside(tuple(_derivative(pooling, output) for output in outputs[:6])),
        *([Text(f"... and {len(outputs) - 6} more.")] if len(outputs) > 6 else []),
        Formula(("∂L/∂x[m] = Σ δ[i] over the windows i that pixel m won",)),
    ]


def _derivative(pooling: _Pooling, output: Place) -> Matrix:
    winner, law = pooling.winners[output], pooling.law
    values: list[list[Cell]] = table(law.rows.size, law.columns.size, lambda place: 1 if place == winner else 0)
    faint = [place for place in pooling.law.pixels() if place != winner]
    return matrix(f"∂{letter('y', output)}/∂x", values, faint=faint)


def _backward(pooling: _Pooling) -> list[Block]:
    whence = (
        "The loss of this example is L = Σ −log y, so δ = ∂L/∂y = −1/y."
        if pooling.own_loss
        else "The layers behind have sent back δ = ∂L/∂y."
    )
    sums = []
    ordered = sorted(pooling.winners.items(), key=lambda each: each[1])
    for pixel, won in groupby(ordered, key=lambda each: each[1]):
        count = len(list(won))
        value = readable(pooling.image[pixel[0]][pixel[1]])
        note = f"the {value} won {'one window' if count == 1 else f'{count} windows'}"
        terms = tuple(_terms(pooling.winners, pooling.delta, pixel))
        sums.append(Sum(letter("∂L/∂x", pixel), terms, pooling.grad_input[pixel[0]][pixel[1]], note))
    losers = [place for place in pooling.law.pixels() if place not in pooling.winners.values()]
    return [
        Heading("Backward: each gradient goes to its winner"),
        Text(f"{whence} A pixel that won several windows collects from all of them, and the others get 0."),
        Beside((
            matrix("δ", pooling.delta, role="delta"), "→",
            matrix("∂L/∂x", pooling.grad_input, faint=losers, role="gradient"),
        )),
        *sums,
    ]  # fmt: skip
