"""A whole network, forward and backward, with a central difference beside every gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnntrain.errors import ArgumentError
from cnntrain.explain import given as read
from cnntrain.explain.differences import witnessed
from cnntrain.explain.document import Beside, Block, Cell, Formula, Heading, Sum, Table, Text, matrix
from cnntrain.explain.exercise import floats
from cnntrain.explain.letters import letter
from cnntrain.explain.numbers import readable
from cnntrain.explain.setting import Given, plane, sample, text
from cnntrain.explain.tiny_network import (
    WINDOW,
    Array,
    Backward,
    Forward,
    Parameters,
    at_a_corner,
    backward,
    check_backward,
    check_forward,
    forward,
    places,
    softmax,
    winner,
)

TITLE = "A whole network, there and back"
IMAGE, FILTER, BIAS = "2 0 2 3; 2 2 1 1; 1 2 2 0; 1 1 2 1", "1 -1; 0 1/2", "-1/2"
V, C = "1/2 -1 1 0; -1/2 1/2 1/2 1/2", "0 1/2"
LABEL = 0
LARGEST = 1000  # so that rounding does not hide what a difference shows


def lesson(given: Given) -> list[Block]:
    """Return the lesson's blocks."""
    parameters, rate = _parameters(given)
    done = forward(parameters, LABEL)
    check_forward(parameters, done, LABEL)
    back = backward(parameters, done)
    check_backward(parameters, done, back)
    return [
        Text(
            "Two classes, one image, and every layer that a small classifier has. Forward, each layer makes its "
            "output from the one before; backward, each turns the gradient of its output into that of its input, and, "
            "where it learns, of its weights."
        ),
        Formula((
            "forward    x → conv w, b → z → ReLU → a → max-pool → p → dense v, c → y → L",
            "backward   ∂L/∂x ← ∂L/∂z ← ∂L/∂a ← ∂L/∂p ← ∂L/∂y ← L",
        )),
        *_forward(parameters, done),
        *_backward(parameters, done, back),
        *_witness(parameters, done, back),
        *_step(parameters, done, back, rate),
    ]  # fmt: skip


def _parameters(given: Given) -> tuple[Parameters, float]:
    image, filter_ = plane(given, "image", IMAGE), plane(given, "filter", FILTER)
    biases = read.numbers("--bias", text(given, "bias", BIAS))
    rates = read.numbers("--learning-rate", text(given, "learning_rate", "1/10"))
    for name, values in (("bias", biases), ("learning-rate", rates)):
        if len(values) != 1:
            raise ArgumentError(f"--{name}: one number; received {len(values)}")
    for name, numbers in (("image", image), ("filter", filter_), ("bias", [biases])):
        if max(abs(value) for row in numbers for value in row) > LARGEST:
            raise ArgumentError(
                f"--{name}: this lesson takes numbers from -{LARGEST} to {LARGEST}; received a larger one"
            )
    rows, columns = len(image) - len(filter_) + 1, len(image[0]) - len(filter_[0]) + 1
    if min(rows, columns) < WINDOW:
        least = f"{len(filter_) + WINDOW - 1}x{len(filter_[0]) + WINDOW - 1}"
        raise ArgumentError(
            f"--image: a {read.size(filter_)} filter and a {WINDOW}x{WINDOW} pooling window need an image of at least "
            f"{least}; received {read.size(image)}"
        )
    inputs = (rows - 1) * (columns - 1)
    v = read.planes("v", V)[0] if inputs == 4 else [[n / 2 for n in row] for row in sample(2, inputs)]
    return Parameters(*(floats(each) for each in (image, filter_, biases, v, read.numbers("c", C)))), float(rates[0])


def _forward(parameters: Parameters, done: Forward) -> list[Block]:
    x, w, b, v, c = parameters
    inputs = done.p.ravel()
    first = [(w[r, s], x[r, s]) for r, s in places(w)]
    best = winner(done, (0, 0))
    shares = softmax(done.y)
    return [
        Heading("Forward"),
        Text("Convolution: the filter slides over the image."),
        Beside((
            _show("x", x, "image"), "∗", _show("w", w, "filter"), f"+ {_bracketed(b[0])} =",
            _show("z", done.z, "output"),
        )),
        Sum("z₁₁", (*_plain(first), *_constant(b[0])), float(done.z[0, 0])),
        Text(f"ReLU cuts what is below 0; max-pooling ({WINDOW}x{WINDOW}, stride 1) keeps the largest of each window:"),
        Beside((
            _show("z", done.z, "output"), "→", _show("a = max(z, 0)", done.a, "output"), "→",
            _show("p", done.p, "output"), "", _show("mask", done.mask, "mask"),
        )),
        Text(f"The first window's winner stands at row {best[0] + 1}, column {best[1] + 1}: mask {done.mask[0, 0]}."),
        Text("Dense layer: p as one row, times the weights of each class, plus its bias:"),
        Beside((
            _show("v", v, "filter"), _show("p", inputs[:, None], "output"), "+", _show("c", c[:, None], "filter"), "=",
            _show("y", done.y[:, None], "output"),
        )),
        *[
            Sum(name, (*_plain(zip(v[k], inputs, strict=True)), *_constant(c[k])), float(done.y[k]))
            for k, name in enumerate(("y₁", "y₂"))
        ],
        Text("Softmax makes shares of them, and the loss is the logarithm of the right one's, here the first class's:"),
        Formula((
            f"exp({_f(done.y[0])}) : exp({_f(done.y[1])})  →  shares {_f(shares[0])} : {_f(shares[1])}",
            f"L = −log of the share = log(exp({_f(done.y[0])}) + exp({_f(done.y[1])})) − {_bracketed(done.y[LABEL])}",
            f"  = {_f(done.loss)}",
        )),
    ]  # fmt: skip


def _backward(parameters: Parameters, done: Forward, back: Backward) -> list[Block]:
    v, inputs = parameters.v, done.p.ravel()
    winners = [winner(done, output) for output in places(done.p)]
    best = max(winners, key=winners.count)
    won = [output for output, place in zip(places(done.p), winners, strict=True) if place == best]
    shares = softmax(done.y)
    return [
        Heading("Backward"),
        Text("Loss: the gradient by y is the shares, less 1 for the right class."),
        Sum("∂L/∂y₁", ((shares[0],), (-1,)), float(done.grad_y[0])),
        Sum("∂L/∂y₂", ((shares[1],),), float(done.grad_y[1])),
        Text("Dense layer: to its input along the columns of v, to its weights gradient times input, to c itself."),
        Sum("∂L/∂p₁₁", tuple(_plain([(v[k, 0], done.grad_y[k]) for k in range(2)])), float(back.p[0, 0])),
        Sum("∂L/∂v₁₁", tuple(_plain([(done.grad_y[0], inputs[0])])), float(back.v[0, 0])),
        Beside((_show("∂L/∂p", back.p, "gradient"), "", _show("∂L/∂v", back.v, "gradient"), "",
                _show("∂L/∂c", back.c[:, None], "gradient"))),
        Text("Max-pooling: each gradient goes to the winner of its window, and a winner of several collects them."),
        Sum(letter("∂L/∂a", best), tuple(_plain([(back.p[output],) for output in won])), float(back.a[best])),
        Text("ReLU: what was cut gets 0. The result is the delta of the convolution."),
        Beside((_show("∂L/∂p", back.p, "gradient"), "→", _show("∂L/∂a", back.a, "gradient"), "→",
                _show("δ = ∂L/∂z", back.z, "delta"))),
        Text(
            "Convolution: to the filter the delta slides over the image, to the bias it is added up, and to the image "
            "the rotated filter slides over the padded delta."
        ),
        Beside((_show("∂L/∂w", back.w, "gradient"), "", matrix("∂L/∂b", [[back.b]], role="gradient"), "",
                _show("∂L/∂x", back.x, "gradient"))),
        Sum("∂L/∂w₁₁", tuple(_plain((back.z[o], parameters.x[o]) for o in places(back.z))), float(back.w[0, 0])),
        Sum("∂L/∂b", tuple(_plain([(value,) for value in back.z.ravel()])), back.b),
    ]  # fmt: skip


def _witness(parameters: Parameters, done: Forward, back: Backward) -> list[Block]:
    """Return a central difference of L beside the gradient of every weight."""
    heading = Heading("Is it the derivative?")
    if at_a_corner(parameters, done):
        return [
            heading,
            Text(
                "With these numbers the loss has a corner: a z that is 0, or two equal numbers in a pooling window. "
                "There is no derivative there, and differences tell nothing. Change a number a little."
            ),
        ]
    rows: list[tuple[Cell, ...]] = []
    for field, gradient in (("w", back.w), ("b", np.array([back.b])), ("v", back.v), ("c", back.c)):
        at: Array = getattr(parameters, field)
        for place in np.ndindex(at.shape):
            name = _named(f"∂L/∂{field}", place)
            formula = float(gradient[place])
            rows.append((name, formula, witnessed(name, formula, _loss_by(parameters, field), at, place)))
    return [
        heading,
        Text(
            "Move one weight by h = 0.0001 (or less) up and down, run the whole network forward both times, and divide "
            "the difference of the losses by 2 h. That knows nothing of the chain rule:"
        ),
        Table(("", "backward", "difference"), tuple(rows)),
    ]


def _loss_by(parameters: Parameters, field: str) -> Callable[[Array], float]:
    """Return the loss as a function of some of the weights."""
    return lambda value: forward(parameters._replace(**{field: value}), LABEL).loss


def _step(parameters: Parameters, done: Forward, back: Backward, rate: float) -> list[Block]:
    moved = parameters._replace(
        w=parameters.w - rate * back.w,
        b=parameters.b - rate * back.b,
        v=parameters.v - rate * back.v,
        c=parameters.c - rate * back.c,
    )
    after = forward(moved, LABEL).loss
    return [
        Heading("One step"),
        Text(
            f"Each weight less {_f(rate)} times its gradient, and forward again: the loss goes from {_f(done.loss)} to "
            f"{_f(after)}. The lesson update shows what such a step is made of."
        ),
    ]


def _named(name: str, place: tuple[int, ...]) -> str:
    if len(place) == 2:
        return letter(name, (place[0], place[1]))
    return name if name.endswith("b") else f"{name}{'₁₂'[place[0]]}"


def _show(name: str, values: Any, role: Any) -> Any:
    return matrix(name, values, role=role)


def _plain(terms: Any) -> list[tuple[Cell, ...]]:
    return [tuple(float(factor) for factor in term) for term in terms]


def _constant(value: Any) -> list[tuple[Cell, ...]]:
    """Return a bias as the last term of a sum, none if it is 0."""
    return [(float(value),)] if value else []


def _f(value: Any) -> str:
    return readable(float(value))


def _bracketed(value: Any) -> str:
    shown = _f(value)
    return f"({shown})" if shown.startswith("−") else shown
