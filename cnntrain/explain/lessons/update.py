"""The update: gradient descent with momentum and weight decay, step by step."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from cnntrain.errors import ArgumentError
from cnntrain.explain import given as read
from cnntrain.explain.agreement import agreed
from cnntrain.explain.document import Beside, Block, Formula, Heading, Sum, Table, Text, matrix
from cnntrain.explain.exercise import Plane, Values, floats
from cnntrain.explain.letters import letter
from cnntrain.explain.numbers import readable
from cnntrain.explain.setting import Defaults, Given, one_channel, text

TITLE = "The update: gradient descent, momentum, weight decay"
DELTA = "1 -1; 2 1/2"
STEPS = 3


def lesson(given: Given) -> list[Block]:
    """Return the lesson's blocks."""
    exercise = one_channel(given, Defaults(delta=(DELTA,)))
    rate = _number(given, "learning_rate", "1/10", largest=100)
    momentum = _number(given, "momentum", "1/2", below=1)
    decay = _number(given, "weight_decay", "1/100", largest=100)
    gradient = exercise.grad_weight()
    settings = rate, momentum, decay
    weights, velocities = _steps(exercise.filters[0][0], gradient, settings)
    return [
        Text(
            "A gradient says how the loss grows; the update goes the other way. This lesson takes the filter and the "
            "gradient of the lesson weights, and keeps the gradient the same for three steps, so that only the update "
            "moves."
        ),
        Beside((
            matrix("w", exercise.filters[0][0], role="filter"), "", matrix("g = ∂L/∂w", gradient, role="gradient"),
        )),
        Heading("In letters"),
        Formula((
            "v ← μ v + g + λ w       v begins at 0",
            "w ← w − η v",
        ), note="learning rate η, momentum μ, weight decay λ"),
        Text(
            "Weight decay λ pulls each weight towards 0, momentum μ keeps a share of the velocity v, so that steps in "
            "the same direction grow and steps to and fro cancel. With μ = λ = 0 it is plain gradient descent: w ← w "
            "− η g."
        ),
        Heading("In numbers"),
        Formula((f"η = {readable(rate)}    μ = {readable(momentum)}    λ = {readable(decay)}",)),
        *[block for step in range(STEPS) for block in _shown(step, weights, velocities, gradient, settings)],
        Heading("What momentum does"),
        Table(
            ("step", "w₁₁ with momentum", "without"),
            tuple(
                (str(step), with_[0][0], without[0][0])
                for step, (with_, without) in enumerate(
                    zip(weights, _steps(exercise.filters[0][0], gradient, (rate, Fraction(0), decay))[0], strict=True)
                )
            ),
        ),
        Text(
            "Kept for ever in one direction, the velocity grows towards "
            f"1 / (1 − μ) = {readable(1 / (1 - momentum))} times the gradient."
        ),
    ]  # fmt: skip


def _number(given: Given, name: str, default: str, largest: int = 0, below: int = 0) -> Fraction:
    option = f"--{name.replace('_', '-')}"
    values = read.numbers(option, text(given, name, default))
    if len(values) != 1:
        raise ArgumentError(f"{option}: one number; received {len(values)}")
    value = values[0]
    if value < 0 or (below and value >= below) or (largest and value > largest):
        allowed = f"at least 0 and below {below}" if below else f"0 to {largest}"
        raise ArgumentError(f"{option} must be {allowed}; received {readable(value)}")
    return value


Settings = tuple[Fraction, Fraction, Fraction]


def _steps(start: Plane, gradient: Values, settings: Settings) -> tuple[list[Values], list[Values]]:
    """Return the weights before and after each step, and the velocities, of the kernel that trains, each checked."""
    from cnntrain.optimizers.sgd import Sgd
    from cnntrain.parameters import Parameter

    rate, momentum, decay = settings
    flat, slopes = floats(start).ravel().copy(), np.array(gradient, np.float64).ravel()
    parameter = Parameter("weight", flat[:], slopes.copy()[:])
    made = Sgd.Settings(learning_rate=float(rate) or 1.0, momentum=float(momentum), weight_decay=float(decay))
    optimizer = Sgd(made, [parameter])
    weights, velocities = [flat.tolist()], [[0.0] * flat.size]
    for step in range(STEPS):
        optimizer.step(float(rate))
        w, v = weights[-1], velocities[-1]
        velocity, weight = optimizer.state()["velocity/weight"].tolist(), parameter.value.tolist()
        for i, slope in enumerate(slopes.tolist()):
            name = letter("v", divmod(i, len(start[0])))
            terms = [(float(momentum), v[i]), (slope,), (float(decay), w[i])]
            agreed(f"step {step + 1}: {name}", velocity[i], terms)
            agreed(f"step {step + 1}: w{name[1:]}", weight[i], [(w[i],), (-float(rate), velocity[i])])
        weights.append(weight)
        velocities.append(velocity)
    rows = len(start)
    return [np.reshape(w, (rows, -1)).tolist() for w in weights], [
        np.reshape(v, (rows, -1)).tolist() for v in velocities
    ]


def _shown(
    step: int, weights: list[Values], velocities: list[Values], gradient: Values, settings: Settings
) -> list[Block]:
    rate, momentum, decay = settings
    w, v, g = weights[step][0][0], velocities[step][0][0], gradient[0][0]
    after = velocities[step + 1][0][0]
    return [
        Text(f"Step {step + 1}:"),
        Sum("v₁₁", ((momentum, v), (g,), (decay, w)), after),
        Sum("w₁₁", ((w,), (-rate, after)), weights[step + 1][0][0]),
        Beside((
            matrix("v", velocities[step + 1], role="delta"), "", matrix("w", weights[step + 1], role="filter"),
        )),
    ]  # fmt: skip
