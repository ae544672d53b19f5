"""dL/d(logits) of every loss, term by term, and the loss itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from cnntrain.explain.account import Derivation, Line, Term, largest, named
from cnntrain.explain.trace import Trace
from cnntrain.passes.targets import targets

Values = list[float]


def loss_gradient(trace: Trace, image: int, k: int) -> Derivation:
    """Derive dL/d(logit k) of an image; raises `KeyError` for a loss without formulas."""
    return LOSSES[trace.loss_layer.name](trace, image, k)


def _cross_entropy(trace: Trace, image: int, k: int) -> Derivation:
    settings = trace.loss_layer.settings
    logits, label = _logits(trace, image), int(trace.labels[image])
    own, spread = targets(len(logits), settings.label_smoothing, settings.class_weights)
    weight = float(sum(settings.class_weights[label] for label in trace.labels.tolist())) if settings.class_weights \
        else float(len(trace.labels))  # fmt: skip
    top = max(logits)
    powers = [math.exp(z - top) for z in logits]
    total = Line(
        "Z", "Σ exp(z - largest z) over the classes",
        tuple(Term(f"exp({named('z', [j])} - {top:.6g})", (power,)) for j, power in enumerate(powers)),
    )  # fmt: skip
    probability = Line(named("p", [k]), "exp(z - largest z) / Z", given=powers[k] / total.value)
    goals = [float(own[label]) * (j == label) + float(spread[j]) for j in range(len(logits))]
    goal = Line(named("t", [k]), "the target: " + _words(settings, k, label), given=goals[k])
    mass = sum(goals)
    divisor = weight or 1.0
    terms = [Term(f"{named('p', [k])}" + ("" if mass == 1 else " Σt"), (probability.value, mass))]
    terms.append(Term(f"- {named('t', [k])}", (-goals[k],)))
    formula = "(p - t)" if mass == 1 else "(p Σt - t)"
    over = "" if divisor == 1 else f" / {divisor:g}"
    lines = (total, probability, goal, _last(trace, image, k, formula + over, terms, divisor))
    return Derivation("softmax less the target, divided by the images of the batch (or their weights)", lines)


def _words(settings: object, k: int, label: int) -> str:
    text = "1 for the label" if k == label else "0 for every other class"
    if getattr(settings, "label_smoothing", 0) or getattr(settings, "class_weights", None):
        text += ", with label_smoothing and class_weights"
    return text


def _mse(trace: Trace, image: int, k: int) -> Derivation:
    logits, label = _logits(trace, image), int(trace.labels[image])
    terms = [Term(named("y", [k]), (logits[k],)), Term(f"- {named('t', [k])}", (-float(k == label),))]
    line = _last(trace, image, k, f"(y - t) / {len(trace.labels)}", terms, float(len(trace.labels)))
    return Derivation("output less target, which is 1 for the label and 0 for the others", (line,))


def _hinge(trace: Trace, image: int, k: int) -> Derivation:
    logits, label = _logits(trace, image), int(trace.labels[image])
    sign = 1.0 if k == label else -1.0
    slack = Line(
        "slack", f"1 - s y, with s = {sign:g}", (Term("1", (1.0,)), Term(f"- s {named('y', [k])}", (-sign, logits[k])))
    )
    squared = trace.loss_layer.settings.norm == 2
    if slack.value <= 0:
        terms = [Term("the margin is kept", (0.0,))]
    else:
        terms = [Term("-2 s slack", (-2.0, sign, slack.value))] if squared else [Term("-s", (-sign,))]
    line = _last(trace, image, k, "-2 s slack" if squared else "-s where the slack is positive", terms,
                 float(len(trace.labels)))  # fmt: skip
    return Derivation("each class against the rest: what is missing to the margin 1", (slack, line))


def _multi_margin(trace: Trace, image: int, k: int) -> Derivation:
    logits, label = _logits(trace, image), int(trace.labels[image])
    settings = trace.loss_layer.settings
    squared, margin = settings.norm == 2, settings.margin
    lines, slopes = [], {}
    for j in range(len(logits)):
        if j == label or (k not in (label, j)):
            continue
        parts = (Term("margin", (margin,)), Term(f"- {named('y', [label])}", (-logits[label],)),
                 Term(named("y", [j]), (logits[j],)))  # fmt: skip
        slack = Line(named("slack", [j]), "margin - y of the label + y", parts)
        lines.append(slack)
        slopes[j] = (2 * slack.value if squared else 1.0) if slack.value > 0 else 0.0
    sign = -1.0 if k == label else 1.0
    terms = [
        Term(("-" if sign < 0 else "") + f"slope of {named('slack', [j])}", (sign, slope))
        for j, slope in slopes.items()
    ]
    divisor = float(len(trace.labels) * len(logits))
    line = _last(trace, image, k, f"Σ slopes of positive slacks / {divisor:g}", terms, divisor)
    return Derivation("the label against each other class: what is missing to the margin", (*lines, line))


LOSSES: Mapping[str, Callable[[Trace, int, int], Derivation]] = {
    "cross_entropy": _cross_entropy,
    "mse": _mse,
    "hinge": _hinge,
    "multi_margin": _multi_margin,
}


def _logits(trace: Trace, image: int) -> Values:
    return [float(z) for z in trace.logits[image]]


def _last(trace: Trace, image: int, k: int, formula: str, terms: list[Term], divisor: float) -> Line:
    index = [image, k] if len(trace.labels) > 1 else [k]
    kernel, size = float(trace.grad_logits[image, k]), largest(trace.grad_logits)
    return Line(named("dL/dz", index), formula, tuple(terms), divisor, kernel=kernel, size=size)
