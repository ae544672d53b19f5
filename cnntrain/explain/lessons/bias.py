"""Back to the bias: the delta added up."""

from __future__ import annotations

from cnntrain.explain.document import Beside, Block, Formula, Heading, Matrix, Sum, Text, matrix
from cnntrain.explain.exercise import Exercise
from cnntrain.explain.letters import letter, table
from cnntrain.explain.numbers import readable
from cnntrain.explain.setting import Defaults, Given, one_channel
from cnntrain.explain.symbols import in_letters

TITLE = "Back to the bias: the delta added up"
DELTA = "1 -1; 2 1/2"


def lesson(given: Given) -> list[Block]:
    """Return the lesson's blocks."""
    exercise = one_channel(given, Defaults(delta=(DELTA,)))
    symbols = in_letters(exercise.law)
    outputs = list(symbols.law.outputs())
    bias = exercise.biases[0]
    higher = Exercise(exercise.images, exercise.filters, exercise.deltas, [bias + 1], exercise.law, exercise.settings)
    gradient = exercise.grad_bias()
    ones = table(*exercise.law.output_size, lambda _: 1)
    return [
        Text("One bias b belongs to a filter, and it is added to every output:"),
        *([Text(symbols.note)] if symbols.note else []),
        Formula(tuple(f"{letter('z', output)} = {symbols.z(output)} + b" for output in outputs)),
        Heading("The chain rule"),
        Text("So each output grows by as much as b does: ∂z/∂b is 1 everywhere, and"),
        Formula((
            "∂L/∂b = Σ δ[i,j] · ∂z[i,j]/∂b = Σ δ[i,j] · 1",
            f"      = {' + '.join(letter('δ', output) for output in outputs)}",
        )),
        Heading("In numbers"),
        Text(f"With b = {readable(bias)}, and with b = {readable(bias + 1)}: every output is one more."),
        Beside((_plane("z", exercise), "", _plane("z, b one more", higher))),
        Text("The delta, and what it is multiplied with:"),
        Beside((matrix("δ", exercise.deltas[0][0], role="delta"), "⊙", matrix("∂z/∂b", ones))),
        Sum("∂L/∂b", tuple(exercise.bias_terms()), gradient),
        Text(
            "In a batch every image uses the same b, so the deltas of all images are added up, and with several "
            "filters each bias takes the deltas of its own filter: the lesson channels shows both."
        ),
    ]  # fmt: skip


def _plane(name: str, exercise: Exercise) -> Matrix:
    return matrix(name, exercise.z(), role="output")
