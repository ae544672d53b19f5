"""Back to the filter: a valid correlation of the image with the delta."""

from __future__ import annotations

from cnntrain.explain.document import Beside, Block, Formula, Heading, Matrix, Text, matrix
from cnntrain.explain.exercise import Exercise
from cnntrain.explain.figures import weight_slide
from cnntrain.explain.letters import letter, letters, table
from cnntrain.explain.numbers import MINUS, readable
from cnntrain.explain.setting import Defaults, Given, one_channel
from cnntrain.explain.symbols import Symbols, in_letters

TITLE = "Back to the filter: a valid correlation"
DELTA = "1 -1; 2 1/2"


def lesson(given: Given) -> list[Block]:
    """Return the lesson's blocks."""
    exercise = one_channel(given, Defaults(delta=(DELTA,)))
    symbols = in_letters(exercise.law)
    law = exercise.law
    strided = (law.rows.stride, law.columns.stride) != (1, 1)
    dilated = (law.rows.dilation, law.columns.dilation) != (1, 1)
    return [
        Text(
            "The delta δ = ∂L/∂z has come back to the output z of a convolution. How much does the loss L grow when a "
            "weight of the filter grows? That is what gradient descent needs."
        ),
        *_chain_rule(symbols),
        Heading("In numbers"),
        Text("The gradient of a filter is the sum of the patches that it saw, each weighted with its delta:"),
        Beside(_patches(exercise)),
        Text("And the same as a window that slides: the delta over the image."),
        *([Text("With a stride the numbers of the delta lie a stride apart in the image.")] if strided else []),
        *([Text("With a dilation the window moves by the dilation.")] if dilated else []),
        *(
            [Text("Forward the filter was rotated, so its gradient comes out rotated: the last weight first.")]
            if law.rotated
            else []
        ),
        weight_slide(exercise),
    ]


def _chain_rule(symbols: Symbols) -> list[Block]:
    law = symbols.law
    outputs = list(law.outputs())
    padded = " (and its padding)" if law.rows.padded > law.rows.size or law.columns.padded > law.columns.size else ""
    plain = not law.rotated and all(axis.stride == axis.dilation == 1 for axis in (law.rows, law.columns))
    figure: list[Block] = [
        Text(
            f"Those are the sums of a window that slides: the delta as a filter, over the image{padded}. It stays "
            "inside: valid."
        ),
        Beside((
            letters("x", law.rows.size, law.columns.size, role="image"),
            "∗",
            letters("δ", *law.output_size, role="delta"),
        )),
    ]  # fmt: skip
    return [
        Heading("The chain rule"),
        Text("A weight is used for every output, so it moves all of them, and each of them moves L:"),
        Formula(("∂L/∂w = Σ ∂L/∂z[i,j] · ∂z[i,j]/∂w = Σ δ[i,j] · ∂z[i,j]/∂w",)),
        *([Text(symbols.note)] if symbols.note else []),
        Formula(tuple(f"{letter('z', output)} = {symbols.z(output)} + b" for output in outputs)),
        Text("The derivative of an output by the filter is the patch of the image that it saw:"),
        Beside(tuple(symbols.by_filter(output) for output in outputs)),
        Text("Each of them times its δ, added up:"),
        matrix("∂L/∂w", table(law.rows.taps, law.columns.taps, symbols.grad_weight), role="gradient"),
        *(figure if plain else []),
    ]


def _patches(exercise: Exercise) -> tuple[Matrix | str, ...]:
    """Return δ₁₁ · patch + δ₁₂ · patch + ... = ∂L/∂w in numbers; of many outputs the first and the last."""
    law = exercise.law
    outputs = list(law.outputs())
    items: list[Matrix | str] = []
    for at, output in enumerate(outputs):
        if len(outputs) > 6 and 2 <= at < len(outputs) - 1:
            items += ["+ ..."] if at == 2 else []
            continue
        seen = {law.weight(tap): exercise.pixel(law.read(output, tap)) for tap in law.taps()}
        values = table(law.rows.taps, law.columns.taps, seen.__getitem__)
        factor = readable(exercise.delta(output))
        factor = f"({factor})" if at and factor.startswith(MINUS) else factor
        items += [f"{'+ ' if at else ''}{factor} ·", matrix(f"∂{letter('z', output)}/∂w", values, role="image")]
    return (*items, "=", matrix("∂L/∂w", exercise.grad_weight(), role="gradient"))
