"""Proof of the optimiser: some steps of its kernel against a second form in exact arithmetic, or in 40 digits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.memory import line_aligned
from cnntrain.optimizers import Optimizer
from cnntrain.parameters import Parameter
from cnntrain.settings import Choice
from cnntrain.verify.optimizer_forms import FORMS, Element, Rule
from cnntrain.verify.proof import PassProof
from cnntrain.verify.proof_muon import prove_filters

STEPS = 3
EVERY = 64  # weights, of which one is followed; and all from the last of a unit of work on
DIGITS = 40
PLACES = 64  # last places of the largest number near a weight that a step may be off: rounding of some dozen operations
# Elements, factors on the rate, factors on the decays: more than a kernel's unit of work has; and the last that stays.
PARAMETERS = ((4105, 1.0, 1.0), (21, 2.0, 0.5), (7, 0.0, 1.0))
# Binary fractions in the place of the config's numbers, with which three steps fit 24 bits.
BINARY = {"momentum": 0.5, "weight_decay": 0.25, "l1_decay": 0.5, "clip_value": 4.0, "ema": 0.5}
RATES = 0.5, 0.25, 0.5

SIZE = sum(size for size, *_ in PARAMETERS)
FOLLOWED = [i for i in range(SIZE) if i % EVERY == 0 or i >= PARAMETERS[0][0] - 20]
ABOUT = f"{len(FOLLOWED)} of {SIZE:,} weights followed"


def prove_optimizer(choice: Choice, seed: int = 1) -> list[PassProof]:
    """Prove the optimiser of a config.

    `sgd` in exact arithmetic, in both types, with binary fractions in the place of its numbers; every optimiser with
    its own numbers, in float64, against 40 digits.

    Parameters
    ----------
    choice : Choice
        The optimiser.
    seed : int
        Of weights and gradients.
    """
    if choice.name not in FORMS:
        why = "no second form of it is known here"
        return [PassProof("optimizer", choice.name, "", "", 0, "not tried", None, why)]
    proofs = []
    if choice.name == "sgd":
        proofs = [_exact(choice, np.dtype(dtype), seed) for dtype in (np.float64, np.float32)]
    filters = [prove_filters(choice, _name(choice), seed)] if choice.name == "muon" else []
    return [*proofs, _close(choice, seed), *filters]


def _exact(choice: Choice, dtype: np.dtype, seed: int) -> PassProof:
    numbers = {key: value for key, value in BINARY.items() if getattr(choice.settings, key)}
    settings = choice.settings.model_copy(update={**numbers, "clip_norm": None})
    generator = np.random.default_rng([seed, 2])

    def some() -> NDArray[Any]:
        return generator.integers(-8, 9, SIZE).astype(np.float64)

    found, right = _run(choice, settings, dtype, some, RATES, Fraction, lambda value: value)
    wrong = [i for i, value in enumerate(right) if Fraction(float(found[i])) != value]
    note = ABOUT
    if choice.settings.clip_norm is not None:
        note = f"{note}, without clip_norm, which takes a root"
    if wrong:
        i = wrong[0]
        note = f"{_named(i)} is {float(found[i])!r} after {STEPS} steps, not {right[i]} ({len(wrong)} wrong)"
    verdict: Any = "WRONG" if wrong else "exact"
    return PassProof("optimizer", _name(choice), "fractions", f"{dtype} k/2^n", STEPS, verdict, None, note)


def _close(choice: Choice, seed: int) -> PassProof:
    generator = np.random.default_rng([seed, 3])
    rate = float(choice.settings.learning_rate)
    dtype = np.dtype(np.float64)

    def some() -> NDArray[Any]:
        return generator.standard_normal(SIZE)

    with localcontext() as context:
        context.prec = DIGITS
        found, right = _run(choice, choice.settings, dtype, some, (rate, rate / 3, rate), Decimal, Decimal.sqrt)
        unit = float(np.finfo(np.float64).eps)
        off = [
            float(abs(Decimal(float(value)) - exact)) / (unit * max(1.0, abs(float(exact)), rate))
            for value, exact in zip(found, right, strict=True)
        ]
    worst = max((math.inf if math.isnan(value) else value, i) for i, value in enumerate(off))
    note = f"at most {worst[0]:.1f} last places from {DIGITS} digits, {ABOUT}"
    verdict: Any = "close"
    if worst[0] > PLACES:
        verdict, i = "WRONG", worst[1]
        note = f"{_named(i)} is {float(found[i])!r} after {STEPS} steps, not {float(right[i])!r}"
    return PassProof("optimizer", _name(choice), f"{DIGITS} digits", "float64", STEPS, verdict, None, note)


def _named(place: int) -> str:
    average, number = divmod(place, len(FOLLOWED))
    return f"{'the average of ' * bool(average)}weight {FOLLOWED[number]}"


def _name(choice: Choice) -> str:
    form = getattr(choice.settings, "form", None)
    name = choice.name + (f" ({form})" if form else "") + (" nesterov" * bool(getattr(choice.settings, "nesterov", 0)))
    return name + " without lookahead" * (choice.settings.lookahead is not None)


def _decay(settings: Any) -> float:
    """L2 decay of what is no filter, which of `muon` the others have."""
    own = getattr(getattr(settings, "others", None), "weight_decay", None)
    return float(settings.weight_decay if own is None else own)


def _run(
    choice: Choice,
    settings: Any,
    dtype: np.dtype,
    some: Callable[[], NDArray[Any]],
    rates: Sequence[float],
    n: Callable[[float], Any],
    root: Callable[[Any], Any],
) -> tuple[NDArray[Any], list[Any]]:
    """Make steps with the kernel and with the second form; return followed weights (and their averages) of both."""
    parameters, values, gradients = _parameters(dtype, some())
    optimizer: Optimizer = choice.registered(settings, parameters)
    elements = {i: Element(n(float(values[i]))) for i in FOLLOWED}
    averages: list[Any] = []
    form = FORMS[choice.name]
    for step, rate in enumerate(rates, 1):
        gradients[:] = some()
        clipped = _clipped([n(float(g)) for g in gradients], settings, n, root)
        at = 0
        for size, factor, decay in PARAMETERS:
            rule = Rule(
                settings, n, root, n(factor) * n(rate), n(decay) * n(_decay(settings)),
                n(decay) * n(settings.l1_decay), step,
            )  # fmt: skip
            for i in FOLLOWED:
                if factor and at <= i < at + size:
                    form(elements[i], clipped[i], rule)
            at += size
        optimizer.step(rate)
        if settings.ema is not None:
            share = n(settings.ema)
            weights = [element.w for element in elements.values()]
            pairs = zip(averages, weights, strict=True) if averages else ()
            averages = [share * a + (1 - share) * w for a, w in pairs] or weights
    right = [element.w for element in elements.values()]
    found = values[FOLLOWED]
    if settings.ema is not None:
        with optimizer.averaged():
            found = np.concatenate([found, values[FOLLOWED]])
        right = right + averages
    return found, right


def _clipped(gradients: list[Any], settings: Any, n: Callable[[float], Any], root: Callable[[Any], Any]) -> list[Any]:
    if settings.clip_norm is not None:
        moving = gradients[: sum(size for size, rate, _ in PARAMETERS if rate)]  # who stays does not count
        scale = n(settings.clip_norm) / (root(sum(g * g for g in moving)) + n(1e-6))
        return gradients if scale > 1 else [scale * g for g in gradients]
    if settings.clip_value is not None:
        limit = n(settings.clip_value)
        return [min(max(g, -limit), limit) for g in gradients]
    return gradients


def _parameters(dtype: np.dtype, start: NDArray[Any]) -> tuple[list[Parameter], NDArray[Any], NDArray[Any]]:
    """Return parameters as a network keeps them, all values and all gradients."""
    values, gradients = line_aligned(start.size, dtype), line_aligned(start.size, dtype)
    values[:] = start
    parameters, at = [], 0
    for number, (size, rate, decay) in enumerate(PARAMETERS):
        place = slice(at, at + size)
        parameters.append(Parameter(f"{number}", values[place], gradients[place], rate, decay))
        at += size
    return parameters, values, gradients
