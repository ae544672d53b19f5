"""Back to the image: the full convolution of the delta with the rotated filter."""

from __future__ import annotations

from typing import Literal

from cnntrain import functional
from cnntrain.explain.agreement import agreed
from cnntrain.explain.document import Beside, Block, Formula, Heading, Matrix, Text, matrix
from cnntrain.explain.exercise import Exercise, floats
from cnntrain.explain.figures import backward_slide, canvas, turned_taps
from cnntrain.explain.letters import letter, sum_of, table
from cnntrain.explain.numbers import MINUS, readable
from cnntrain.explain.setting import Defaults, Given, one_channel
from cnntrain.explain.sliding import Sliding
from cnntrain.explain.symbols import Symbols, in_letters

TITLE = "Back to the image: the full convolution"
DELTA = "1 -1; 2 1/2"


def lesson(given: Given) -> list[Block]:
    """Return the lesson's blocks."""
    exercise = one_channel(given, Defaults(delta=(DELTA,)))
    symbols = in_letters(exercise.law)
    return [
        Text(
            "Behind the convolution come more layers and at last the loss L. They send back the delta, δ = ∂L/∂z: how "
            "much L grows when one number of the output z grows. How much does L grow when a pixel of x grows?"
        ),
        *_chain_rule(symbols),
        *_rotated(symbols, exercise.law),
        Heading("In numbers"),
        Text("The derivatives, each times its delta, added up:"),
        Beside(_weighted(exercise)),
        Text("And the same as a window that slides over the padded delta (· is a zero of the padding):"),
        backward_slide(exercise),
        *_as_forward(exercise),
    ]


def _chain_rule(symbols: Symbols) -> list[Block]:
    law = symbols.law
    outputs = list(law.outputs())
    return [
        Heading("The chain rule"),
        Text("A pixel lies in several windows, so it moves several outputs, and each of them moves L:"),
        Formula(("∂L/∂x = Σ ∂L/∂z[i,j] · ∂z[i,j]/∂x = Σ δ[i,j] · ∂z[i,j]/∂x",)),
        *([Text(symbols.note)] if symbols.note else []),
        Formula(tuple(f"{letter('z', output)} = {symbols.z(output)} + b" for output in outputs)),
        Text("So the derivative of an output by the image is the filter, where it lay, and 0 everywhere else:"),
        Beside(tuple(symbols.by_image(output) for output in outputs)),
        Text("Each of them times its δ, added up:"),
        matrix("∂L/∂x", table(law.rows.size, law.columns.size, symbols.grad_input), role="gradient"),
    ]


def _rotated(symbols: Symbols, shown: Sliding) -> list[Block]:
    law = symbols.law
    values, faint = canvas(law, lambda output: letter("δ", output))
    delta = matrix("δ, padded", [["0" if v == 0 else v for v in row] for row in values], faint=faint, role="delta")
    sliding = [[letter("w", law.weight(tap)) for tap in row] for row in turned_taps(law)]
    filter_ = matrix("w" if law.rotated else "ROT180(w)", sliding, role="filter")
    why = (
        "Forward the filter was rotated already, so backward it slides as it is"
        if law.rotated
        else "While the index of δ grows, the index of w falls: first the last weight, then the one before. To get the "
        "same sums from a window that slides, the filter has to be rotated by 180°"
    )
    most = max(law.pixels(), key=lambda pixel: len(law.reaching(pixel)))
    turned = sum_of((letter("w", law.weight(tap)), letter("δ", output)) for tap, output in law.reaching(most))
    return [
        Heading("The rotated filter"),
        Text(
            f"Look at a sum of several terms. {why}, and the delta needs zeros around it, one less than the filter has "
            f"taps, so that every overlap counts, down to a single tap: the full convolution.{_exceptions(shown)}"
        ),
        Beside((delta, "∗", filter_)),
        Formula((f"{letter('∂L/∂x', most)} = {turned}",)),
    ]


def _exceptions(law: Sliding) -> str:
    """Say what is different with padding, dilation or a stride."""
    axes = law.rows, law.columns
    padded = any(axis.padded > axis.size for axis in axes)
    dilated = any(axis.dilation > 1 for axis in axes)
    strided = any(axis.stride > 1 for axis in axes)
    return (
        (" Padding on the way forward takes as many zeros away." if padded else "")
        + (" With a dilation its taps lie apart here too, and it reaches further." if dilated else "")
        + (" With a stride there are zeros between the numbers of δ: see the lesson stride." if strided else "")
    )


def _weighted(exercise: Exercise) -> tuple[Matrix | str, ...]:
    """Return δ₁₁ · ∂z₁₁/∂x + δ₁₂ · ∂z₁₂/∂x + ... = ∂L/∂x in numbers; of many outputs the first and the last."""
    law = exercise.law
    outputs = list(law.outputs())
    items: list[Matrix | str] = []
    for at, output in enumerate(outputs):
        if len(outputs) > 6 and 2 <= at < len(outputs) - 1:
            items += ["+ ..."] if at == 2 else []
            continue
        read = {law.read(output, tap): exercise.weight(tap) for tap in law.taps()}
        values = table(law.rows.size, law.columns.size, lambda pixel, read=read: read.get(pixel, 0))  # type: ignore[misc]
        faint = [place for place in law.pixels() if place not in read]
        factor = readable(exercise.delta(output))
        factor = f"({factor})" if at and factor.startswith(MINUS) else factor
        items += [f"{'+ ' if at else ''}{factor} ·", matrix(f"∂{letter('z', output)}/∂x", values, faint=faint)]
    return (*items, "=", matrix("∂L/∂x", exercise.grad_input(), role="gradient"))


def _as_forward(exercise: Exercise) -> list[Block]:
    """Show that the forward function computes it too, where nothing but the padding is in the way."""
    law = exercise.law
    if any(axis.stride != 1 or axis.padded != axis.size for axis in (law.rows, law.columns)):
        return []
    mode: Literal["cross_correlation", "convolution"] = "cross_correlation" if law.rotated else "convolution"
    delta, filter_ = exercise.deltas[0][0], exercise.filters[0][0]
    dilation = exercise.settings["dilation"]
    again = functional.conv2d(
        floats(delta), floats(filter_), padding="full", mode=mode, dilation=dilation, convolution="direct"
    )
    for m, n in law.pixels():
        agreed(f"conv2d of the delta, {letter('x', (m, n))}", again[m, n], exercise.input_terms((m, n)))
    return [
        Text("It is a convolution like any other, and the forward function computes it, with delta for the image:"),
        Formula((f'conv2d(delta, w, padding="full", mode="{mode}")',)),
    ]
