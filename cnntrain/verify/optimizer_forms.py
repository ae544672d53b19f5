"""The optimisers' rules for one number, in any arithmetic: fractions, or decimals of many digits.

Second forms, written from the papers and from docs/mathematics.md, not from the kernels. `n` makes a number of the
arithmetic, `root` is its square root.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Number = Any  # Fraction or Decimal


@dataclass
class Rule:
    """What is the same for all elements in a step.

    Attributes
    ----------
    settings : OptimizerSettings
    n : callable
        Makes a number.
    root : callable
        Square root; not called by `sgd`.
    rate, decay, l1_decay : number
        Of the parameter, in this step.
    step : int
        From 1.
    """

    settings: Any
    n: Callable[[float], Number]
    root: Callable[[Number], Number]
    rate: Number
    decay: Number
    l1_decay: Number
    step: int

    def pull(self, w: Number) -> Number:
        """The gradient of decay / 2 w**2 + l1_decay |w|."""
        sign = (w > 0) - (w < 0)
        return self.decay * w + self.l1_decay * sign


@dataclass
class Element:
    """A weight, and what the optimiser keeps for it."""

    w: Number
    kept: dict[str, Number] = field(default_factory=dict)

    def old(self, name: str, rule: Rule, first: float = 0.0) -> Number:
        """What is kept under a name."""
        return self.kept.get(name, rule.n(first))


def sgd(e: Element, g: Number, rule: Rule) -> None:
    """Sutskever et al. 2013; caffe: the rate inside the velocity."""
    momentum, nesterov = rule.n(rule.settings.momentum), rule.settings.nesterov
    g = g + rule.pull(e.w)
    before = e.old("velocity", rule)
    if rule.settings.form == "caffe":
        v = momentum * before + rule.rate * g
        e.w -= (1 + momentum) * v - momentum * before if nesterov else v
    else:
        v = momentum * before + g
        e.w -= rule.rate * (g + momentum * v if nesterov else v)
    e.kept["velocity"] = v


def adam(e: Element, g: Number, rule: Rule, decoupled: bool = False) -> None:
    """Kingma and Ba 2015, algorithm 1; keras: eps hat of their section 2."""
    b1, b2 = map(rule.n, rule.settings.betas)
    eps = rule.n(rule.settings.eps)
    if decoupled:
        e.w -= rule.rate * rule.pull(e.w)
    else:
        g = g + rule.pull(e.w)
    m = b1 * e.old("mean", rule) + (1 - b1) * g
    s = b2 * e.old("square", rule) + (1 - b2) * g * g
    e.kept |= {"mean": m, "square": s}
    mean, correction = m / (1 - b1**rule.step), rule.root(1 - b2**rule.step)
    if rule.settings.form == "keras":
        e.w -= rule.rate * correction * mean / (rule.root(s) + eps)
    else:
        e.w -= rule.rate * mean / (rule.root(s) / correction + eps)


def adamw(e: Element, g: Number, rule: Rule) -> None:
    """Loshchilov and Hutter 2019, algorithm 2."""
    adam(e, g, rule, decoupled=True)


def rmsprop(e: Element, g: Number, rule: Rule) -> None:
    """Tieleman and Hinton 2012; centered: Graves 2013."""
    s, keras = rule.settings, rule.settings.form == "keras"
    alpha, eps = rule.n(s.alpha), rule.n(s.eps)
    g = g + rule.pull(e.w)
    square = alpha * e.old("square", rule) + (1 - alpha) * g * g
    e.kept["square"] = square
    if s.centered:
        mean = alpha * e.old("mean", rule) + (1 - alpha) * g
        e.kept["mean"] = mean
        square = max(square - mean * mean, rule.n(0.0))
    direction = g / (rule.root(square + eps) if keras else rule.root(square) + eps)
    if s.momentum > 0:
        v = rule.n(s.momentum) * e.old("velocity", rule) + (rule.rate * direction if keras else direction)
        e.kept["velocity"] = v
        e.w -= v if keras else rule.rate * v
    else:
        e.w -= rule.rate * direction


def adagrad(e: Element, g: Number, rule: Rule) -> None:
    """Duchi et al. 2011."""
    s, eps = rule.settings, rule.n(rule.settings.eps)
    g = g + rule.pull(e.w)
    total = e.old("sum", rule, s.initial_sum) + g * g
    e.kept["sum"] = total
    rate = rule.rate / (1 + (rule.step - 1) * rule.n(s.learning_rate_decay))
    e.w -= rate * g / (rule.root(total + eps) if s.form == "keras" else rule.root(total) + eps)


def adadelta(e: Element, g: Number, rule: Rule) -> None:
    """Zeiler 2012, algorithm 1."""
    rho, eps = rule.n(rule.settings.rho), rule.n(rule.settings.eps)
    g = g + rule.pull(e.w)
    square = rho * e.old("square", rule) + (1 - rho) * g * g
    before = e.old("delta", rule)
    d = rule.root(before + eps) / rule.root(square + eps) * g
    e.kept |= {"square": square, "delta": rho * before + (1 - rho) * d * d}
    e.w -= rule.rate * d


def muon(e: Element, g: Number, rule: Rule) -> None:
    """What is no filter: Sutskever et al. 2013, with settings of its own; the filters are in `proof_muon`."""
    others, rate = rule.settings.others, rule.rate
    if others.learning_rate is not None:
        rate = rate * rule.n(others.learning_rate) / rule.n(rule.settings.learning_rate)
    momentum = rule.n(others.momentum)
    g = g + rule.pull(e.w)
    v = momentum * e.old("velocity", rule) + g
    e.w -= rate * (g + momentum * v if others.nesterov else v)
    e.kept["velocity"] = v


FORMS: dict[str, Callable[[Element, Number, Rule], None]] = {
    form.__name__: form for form in (sgd, adam, adamw, rmsprop, adagrad, adadelta, muon)
}
