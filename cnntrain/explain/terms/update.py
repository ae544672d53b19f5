"""The step of every optimiser for one learned number: clipping, decay, what is kept, and the new value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnntrain.explain.account import Derivation, Line, Term, named
from cnntrain.explain.terms.muon import orthogonalised
from cnntrain.explain.trace import ParameterTrace, Trace
from cnntrain.optimizers import OPTIMIZERS, Optimizer
from cnntrain.optimizers.base import AVERAGE, SLOW
from cnntrain.optimizers.course import Phase
from cnntrain.optimizers.muon import AXES
from cnntrain.optimizers.sgd import SgdSettings

Factors = tuple[str, tuple[float, ...]]  # a term: its label and its factors
ROUNDING = 1e-13  # few operations
OF_MATRICES = 1e-10  # products of matrices, each of which makes small singular values three times as large


def update_of(trace: Trace, parameter: ParameterTrace, index: tuple[int, ...]) -> Derivation | None:
    """Derive a learned number after the step; None where there was no optimiser."""
    optimizer = trace.optimizer
    if optimizer is None:
        return None
    before, after = float(parameter.value[index]), float(parameter.updated[index])
    name = named(parameter.name, index)
    if parameter.parameter.frozen or not parameter.parameter.learning_rate:
        why = "the layer is frozen" if parameter.parameter.frozen else "its factor on the learning rate is 0"
        return Derivation(f"no step: {why}", (Line(f"{name} after", "as before", given=before, kernel=after),))
    if optimizer.rate_of(parameter.parameter, trace.learning_rate, trace.step_number) is None:
        step = _Step.of(trace, optimizer, parameter, index)
        step.title = f"no step: it learned in the first {parameter.parameter.epochs:g} epochs"
        return step.end("as before")
    rule = RULES[optimizer.name] if OPTIMIZERS.get(optimizer.name) is type(optimizer) else _unknown
    return rule(_Step.of(trace, optimizer, parameter, index))


@dataclass
class _Step:
    """One learned number in a step: lines are added as they come."""

    trace: Trace
    settings: Any
    parameter: ParameterTrace
    index: tuple[int, ...]
    number: int  # of the step, from 1
    w: float
    rate: float
    lines: list[Line]
    title: str

    @classmethod
    def of(cls, trace: Trace, optimizer: Optimizer, parameter: ParameterTrace, index: tuple[int, ...]) -> _Step:
        number = trace.step_number
        rate = optimizer.rate_of(parameter.parameter, trace.learning_rate, number) or 0.0
        lines = [Line("w", f"{named(parameter.name, index)} before", given=float(parameter.value[index]))]
        factor = rate / trace.learning_rate if trace.learning_rate else 1.0
        lines.append(
            Line("rate", "the learning rate of this step" + ("" if factor == 1 else f" times {factor:g}"), given=rate)
        )
        title = f"a step of {optimizer.name}, its number {number}"
        return cls(
            trace, optimizer.settings, parameter, index, number, float(parameter.value[index]), rate, lines, title
        )

    def add(self, name: str, formula: str, *terms: Factors, slot: str | None = None) -> float:
        """Add a sum; `slot` names the kept array that it becomes."""
        kernel = None if slot is None else self.kept(slot, after=True)
        line = Line(
            name, formula, tuple(Term(label, factors) for label, factors in terms), kernel=kernel, rounding=ROUNDING
        )
        self.lines.append(line)
        return line.value

    def note(self, name: str, formula: str, value: float) -> float:
        """Add a number."""
        self.lines.append(Line(name, formula, given=value))
        return value

    def kept(self, slot: str, after: bool = False) -> float:
        """Return what the optimiser keeps for this number."""
        return float(self.trace.kept[f"{slot}/{self.parameter.parameter.name}"][after][self.index])

    def clipped(self) -> float:
        """Return the gradient after clipping."""
        g = self.note("g", "the gradient", float(self.parameter.gradient[self.index]))
        if self.settings.clip_norm is not None:
            norm = self.note("norm", "√ Σ g² over all that learn", _norm(self.trace))
            scale = min(1.0, self.settings.clip_norm / (norm + 1e-6)) if not math.isnan(norm) else math.nan
            g = self.add("g", f"g min(1, {self.settings.clip_norm:g} / (norm + 1e-6))", ("g scale", (g, scale)))
        limit = self.settings.clip_value
        if limit is not None:
            g = self.note("g", f"held within ±{limit:g}", max(-limit, min(limit, g)))
        return g

    def pull(self) -> list[Factors]:
        """Return the terms of the decays: what pulls the number towards 0."""
        factor = self.parameter.parameter.weight_decay
        terms: list[Factors] = []
        if self.settings.weight_decay * factor:
            terms.append(("weight_decay w", (self.settings.weight_decay * factor, self.w)))
        if self.settings.l1_decay * factor:
            terms.append(("l1_decay sign w", (self.settings.l1_decay * factor, float(np.sign(self.w)))))
        return terms

    def pulled(self) -> float:
        """Return the gradient after clipping, with the decays."""
        g, terms = self.clipped(), self.pull()
        return self.add("g", "g + decay", ("g", (g,)), *terms) if terms else g

    def end(self, formula: str, *terms: Factors, rounding: float = ROUNDING) -> Derivation:
        """Add the new value, and its running average or what Lookahead makes of it."""
        before = [("w", (self.w,)), *terms]
        summands = tuple(Term(label, factors) for label, factors in before)
        updated = float(self.parameter.updated[self.index])
        assert self.trace.optimizer is not None  # there is a step
        phase = self.trace.optimizer.phase_of(self.number)
        if phase.share or phase.back:
            trained = Line("w trained", formula, summands, rounding=rounding)
            return Derivation(self.title, (*self.lines, trained, *self._slow(trained.value, phase, updated, rounding)))
        line = Line("w after", formula, summands, kernel=updated, rounding=rounding)
        if self.settings.ema is not None:
            average = self._average(line.value)
            return Derivation(self.title, (*self.lines, average, line))
        return Derivation(self.title, (*self.lines, line))

    def _slow(self, trained: float, phase: Phase, updated: float, rounding: float) -> list[Line]:
        """Return the lines of Lookahead: the slow weight follows, the trained one begins again from it."""
        kept, kernel = self.kept(SLOW), self.kept(SLOW, after=True)
        if phase.share == 1.0:
            slow = Line(
                "slow", "begins as w trained", given=trained, kernel=kernel, size=abs(trained), rounding=rounding
            )
        else:
            terms = Term("slow", (kept,)), Term(f"{phase.share:g} (w trained - slow)", (phase.share, trained - kept))
            slow = Line("slow", "moves towards w trained", terms, kernel=kernel, rounding=rounding)
        value = slow.value if phase.back else trained
        words = "begins again from slow" if phase.back else "w trained"
        return [slow, Line("w after", words, given=value, kernel=updated, size=abs(value), rounding=rounding)]

    def _average(self, new: float) -> Line:
        share, kept, kernel = 1 - self.settings.ema, self.kept(AVERAGE), self.kept(AVERAGE, after=True)
        if self.number == 1:
            return Line("average", "w after the first step", given=new, kernel=kernel)
        terms = (Term("average", (kept,)), Term(f"{share:g} (w after - average)", (share, new - kept)))
        return Line("average", "moves towards w after", terms, kernel=kernel)


def _sgd(step: _Step) -> Derivation:
    momentum, g = step.settings.momentum, step.pulled()
    before = step.kept("velocity")
    if step.settings.form == "caffe":
        v = step.add(
            "v", "momentum v + rate g", ("momentum v", (momentum, before)), ("rate g", (step.rate, g)), slot="velocity"
        )
        if step.settings.nesterov:
            newer, older = ("-(1 + momentum) v", (-(1 + momentum), v)), ("momentum v before", (momentum, before))
            return step.end("w - (1 + momentum) v + momentum v before", newer, older)
        return step.end("w - v", ("- v", (-v,)))
    v = step.add("v", "momentum v + g", ("momentum v", (momentum, before)), ("g", (g,)), slot="velocity")
    if step.settings.nesterov:
        return step.end("w - rate (g + momentum v)", ("- rate g", (-step.rate, g)),
                        ("- rate momentum v", (-step.rate, momentum, v)))  # fmt: skip
    return step.end("w - rate v", ("- rate v", (-step.rate, v)))


def _adam(step: _Step) -> Derivation:
    decoupled = bool(getattr(step.trace.optimizer, "decoupled", False))
    beta1, beta2 = step.settings.betas
    g = step.clipped() if decoupled else step.pulled()
    m = step.add("m", f"m + {1 - beta1:g} (g - m)", ("m", (step.kept("mean"),)),
                 (f"{1 - beta1:g} (g - m)", (1 - beta1, g - step.kept("mean"))), slot="mean")  # fmt: skip
    s = step.add("s", f"{beta2:g} s + {1 - beta2:g} g²", (f"{beta2:g} s", (beta2, step.kept("square"))),
                 (f"{1 - beta2:g} g²", (1 - beta2, g, g)), slot="square")  # fmt: skip
    t, eps = step.number, step.settings.eps
    mean = step.note("m'", f"m / (1 - {beta1:g}^{t})", m / (1 - beta1**t))
    root = step.note("r", f"√(s / (1 - {beta2:g}^{t}))", math.sqrt(s / (1 - beta2**t)))
    added = eps if step.settings.form == "pytorch" else eps / math.sqrt(1 - beta2**t)
    shrunk = [(f"- rate {label}", (-step.rate, *factors)) for label, factors in step.pull()] if decoupled else []
    formula = ("w - rate decay w" if decoupled else "w") + " - rate m' / (r + eps)"
    return step.end(formula, *shrunk, ("- rate m'/(r + eps)", (-step.rate, mean / (root + added))))


def _rmsprop(step: _Step) -> Derivation:
    settings, g = step.settings, step.pulled()
    keep, share = settings.alpha, 1 - settings.alpha
    s = step.add("s", f"{keep:g} s + {share:g} g²", (f"{keep:g} s", (keep, step.kept("square"))),
                 (f"{share:g} g²", (share, g, g)), slot="square")  # fmt: skip
    if settings.centered:
        kept = step.kept("mean")
        m = step.add(
            "m", f"m + {share:g} (g - m)", ("m", (kept,)), (f"{share:g} (g - m)", (share, g - kept)), slot="mean"
        )
        s = max(step.add("s", "s - m²", ("s", (s,)), ("- m²", (-m, m))), 0.0)
    keras = settings.form == "keras"
    below = math.sqrt(s + settings.eps) if keras else math.sqrt(s) + settings.eps
    d = step.note("d", "g / √(s + eps)" if keras else "g / (√s + eps)", g / below)
    if not settings.momentum:
        return step.end("w - rate d", ("- rate d", (-step.rate, d)))
    pushed = ("rate d", (step.rate, d)) if keras else ("d", (d,))
    v = step.add("v", f"momentum v + {pushed[0]}", ("momentum v", (settings.momentum, step.kept("velocity"))), pushed,
                 slot="velocity")  # fmt: skip
    return step.end("w - v", ("- v", (-v,))) if keras else step.end("w - rate v", ("- rate v", (-step.rate, v)))


def _adagrad(step: _Step) -> Derivation:
    settings, g = step.settings, step.pulled()
    s = step.add("s", "s + g²", ("s", (step.kept("sum"),)), ("g²", (g, g)), slot="sum")
    slowdown = step.note("slowdown", f"1 / (1 + {step.number - 1} {settings.learning_rate_decay:g})",
                         1 / (1 + (step.number - 1) * settings.learning_rate_decay))  # fmt: skip
    keras = settings.form == "keras"
    below = math.sqrt(s + settings.eps) if keras else math.sqrt(s) + settings.eps
    d = step.note("d", "g / √(s + eps)" if keras else "g / (√s + eps)", g / below)
    return step.end("w - rate slowdown d", ("- rate slowdown d", (-step.rate, slowdown, d)))


def _adadelta(step: _Step) -> Derivation:
    settings, g = step.settings, step.pulled()
    keep, share, kept = settings.rho, 1 - settings.rho, step.kept("delta")
    s = step.add("s", f"{keep:g} s + {share:g} g²", (f"{keep:g} s", (keep, step.kept("square"))),
                 (f"{share:g} g²", (share, g, g)), slot="square")  # fmt: skip
    d = step.note("d", "g √(u + eps) / √(s + eps)", g * math.sqrt(kept + settings.eps) / math.sqrt(s + settings.eps))
    step.add(
        "u", f"{keep:g} u + {share:g} d²", (f"{keep:g} u", (keep, kept)), (f"{share:g} d²", (share, d, d)), slot="delta"
    )
    return step.end("w - rate d", ("- rate d", (-step.rate, d)))


def _muon(step: _Step) -> Derivation:
    settings, traced = step.settings, step.parameter
    if traced.parameter.value.ndim <= AXES:
        decay = settings.weight_decay if settings.others.weight_decay is None else settings.others.weight_decay
        shared = {key: getattr(settings, key) for key in ("l1_decay", "clip_norm", "clip_value", "ema")}
        step.settings = SgdSettings(
            learning_rate=1.0, momentum=settings.others.momentum, nesterov=settings.others.nesterov,
            weight_decay=decay, **shared,
        )  # fmt: skip
        return _sgd(step)
    momentum, g, before = settings.momentum, step.clipped(), step.kept("velocity")
    step.add("v", "momentum v + g", ("momentum v", (momentum, before)), ("g", (g,)), slot="velocity")
    velocities = step.trace.kept[f"velocity/{traced.parameter.name}"]
    direction = velocities[1]
    if settings.nesterov:  # g + momentum v, and g = v - momentum v before
        direction = (1 + momentum) * velocities[1] - momentum * velocities[0]
    filters = len(traced.value)
    words = "g + momentum v" if settings.nesterov else "v"
    o = step.note(
        "o",
        f"of the {filters} filters' matrix {words}, its singular values near 1 ({settings.steps} steps)",
        float(orthogonalised(direction, settings.steps)[step.index]),
    )
    scale, shrunk = 1.0, []
    if settings.normalize:
        norm = step.note("norm", "√ Σ w² of the layer's filters", math.sqrt(math.fsum(traced.value.ravel() ** 2)))
        scale = step.note("scale", f"√{filters} / norm", math.sqrt(filters) / norm if norm else 1.0)
        shrunk = [("(scale - 1) w", (scale - 1, step.w))]
    pulled = [(f"- rate {label}", (-step.rate, scale if "sign" not in label else 1.0, *f)) for label, f in step.pull()]
    formula = ("scale w" if settings.normalize else "w") + " - rate decay w" * bool(pulled) + " - rate o"
    return step.end(formula, *shrunk, *pulled, ("- rate o", (-step.rate, o)), rounding=OF_MATRICES)


def _unknown(step: _Step) -> Derivation:
    """Show what goes in and what comes out of an optimiser that is not one of ours."""
    step.clipped()
    name = step.parameter.parameter.name
    for slot in (key.partition("/")[0] for key in step.trace.kept if key.endswith(f"/{name}")):
        step.note(f"{slot} before", "kept by the optimiser", step.kept(slot))
        step.note(f"{slot} after", "kept by the optimiser", step.kept(slot, after=True))
    after = float(step.parameter.updated[step.index])
    return step.end("w + what the optimiser adds", ("step", (after - step.w,)))


RULES: Mapping[str, Callable[[_Step], Derivation]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adam,
    "rmsprop": _rmsprop,
    "adagrad": _adagrad,
    "adadelta": _adadelta,
    "muon": _muon,
}


def _norm(trace: Trace) -> float:
    """Return the Euclidean norm of the gradients of all that moves."""
    moving = [
        parameter.gradient
        for layer in trace.walk()
        for parameter in layer.parameters.values()
        if parameter.parameter.learning_rate
    ]
    return math.sqrt(math.fsum(float(value) ** 2 for gradient in moving for value in gradient.ravel()))
