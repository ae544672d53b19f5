"""Proof of Muon's filters: steps of a small bank against the same iteration in 40 digits, product by product."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.memory import line_aligned
from cnntrain.optimizers import Optimizer
from cnntrain.parameters import Parameter
from cnntrain.settings import Choice
from cnntrain.verify.proof import PassProof

SHAPE = 5, 2, 2, 2  # filters, channels, rows, columns
STEPS, DIGITS = 3, 40
PLACES = 64  # last places of 1 that a weight may be off: measured up to 2
COEFFICIENTS = "3.4445", "-4.7750", "2.0315"  # Jordan et al. 2024
EPS = "1e-7"

Matrix = list[list[Decimal]]


def prove_filters(choice: Choice, name: str, seed: int = 1) -> PassProof:
    """Prove the steps of filters; `name` is how the optimiser is called in the report."""
    generator, settings = np.random.default_rng([seed, 4]), choice.settings
    start, gradients = generator.standard_normal(SHAPE), generator.standard_normal((STEPS, *SHAPE))
    rate = float(settings.learning_rate)
    rates = rate, rate / 3, rate
    found = _found(choice, start, gradients, rates)
    with localcontext() as context:
        context.prec = DIGITS
        right = _right(settings, start, gradients, rates)
        unit = float(np.finfo(np.float64).eps)
        off = [
            float(abs(Decimal(float(value)) - exact)) / (unit * max(1.0, abs(float(exact)), rate))
            for value, exact in zip(found.ravel(), (each for row in right for each in row), strict=True)
        ]
    worst = float(np.max(off))  # NaN stays NaN
    about = f"{start.size} weights of {SHAPE[0]} filters"
    if worst <= PLACES:
        without = "" if settings.clip_norm is None else ", without clip_norm"
        note, verdict = f"at most {worst:.1f} last places from {DIGITS} digits, {about}{without}", "close"
    else:
        i = int(np.argmax(off))
        exact = float(right[i // len(right[0])][i % len(right[0])])
        note, verdict = f"weight {i} is {float(found.ravel()[i])!r} after {STEPS} steps, not {exact!r}", "WRONG"
    return PassProof("optimizer", f"{name}, filters", f"{DIGITS} digits", "float64", STEPS, verdict, None, note)  # type: ignore[arg-type]


def _found(choice: Choice, start: NDArray[Any], gradients: NDArray[Any], rates: Sequence[float]) -> NDArray[Any]:
    value, gradient = line_aligned(start.size, start.dtype), line_aligned(start.size, start.dtype)
    value[:] = start.ravel()
    parameter = Parameter("filters", value[:].reshape(SHAPE), gradient[:].reshape(SHAPE))
    optimizer: Optimizer = choice.registered(choice.settings.model_copy(update={"clip_norm": None}), [parameter])
    for each, rate in zip(gradients, rates, strict=True):
        gradient[:] = each.ravel()
        optimizer.step(rate)
    return value


def _right(settings: Any, start: NDArray[Any], gradients: NDArray[Any], rates: Sequence[float]) -> Matrix:
    w, v = _matrix(start), _matrix(np.zeros(SHAPE))
    momentum, decay, l1 = (Decimal(getattr(settings, key)) for key in ("momentum", "weight_decay", "l1_decay"))
    limit = None if settings.clip_value is None else Decimal(settings.clip_value)
    for each, rate in zip(gradients, rates, strict=True):
        g = _matrix(each)
        if limit is not None:
            g = [[min(max(number, -limit), limit) for number in row] for row in g]
        v = _sum((momentum, v), (Decimal(1), g))
        direction = _sum((Decimal(1), g), (momentum, v)) if settings.nesterov else v
        if settings.normalize:
            w = _sum((Decimal(len(w)).sqrt() / _norm(w), w))
        signs = [[Decimal((number > 0) - (number < 0)) for number in row] for row in w]
        by = Decimal(rate)
        w = _sum((1 - by * decay, w), (-by * l1, signs), (-by, _near_orthogonal(direction, settings.steps)))
    return w


def _near_orthogonal(matrix: Matrix, steps: int) -> Matrix:
    """X = G / (norm + eps), then a X + b X X^T X + c X X^T X X^T X, from right to left."""
    a, b, c = map(Decimal, COEFFICIENTS)
    x = _sum((1 / (_norm(matrix) + Decimal(EPS)), matrix))
    for _ in range(steps):
        once = _product(_product(x, list(map(list, zip(*x, strict=True)))), x)
        twice = _product(_product(x, list(map(list, zip(*x, strict=True)))), once)
        x = _sum((a, x), (b, once), (c, twice))
    return x


def _matrix(array: NDArray[Any]) -> Matrix:
    return [[Decimal(float(number)) for number in row] for row in array.reshape(SHAPE[0], -1)]


def _norm(matrix: Matrix) -> Decimal:
    return sum((number * number for row in matrix for number in row), Decimal(0)).sqrt()


def _sum(*terms: tuple[Decimal, Matrix]) -> Matrix:
    _, first = terms[0]
    return [
        [sum((factor * matrix[i][j] for factor, matrix in terms), Decimal(0)) for j in range(len(first[0]))]
        for i in range(len(first))
    ]


def _product(left: Matrix, right: Matrix) -> Matrix:
    columns = list(zip(*right, strict=True))
    return [[sum((x * y for x, y in zip(row, column, strict=True)), Decimal(0)) for column in columns] for row in left]
