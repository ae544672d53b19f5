"""`batch_norm2d` and `local_response_norm`: numbers that depend on many others."""

from __future__ import annotations

import math
from collections.abc import Iterator

from cnntrain.explain.account import Derivation, Formulas, Line, Place, Term, named
from cnntrain.explain.trace import LayerTrace


class BatchNormFormulas(Formulas):
    """Mean and variance are those of the trace's images; where the layer is frozen, the running ones."""

    def value(self, place: Place) -> Derivation:
        c, lines = place[1], list(self._statistics(place[1]))
        normalised = self._normalised(place, lines)
        scale, shift = self._scale(c), self._learned_or("shift", c, 0.0)
        terms = [Term(f"{named('scale', [c])} normalised", (scale, normalised.value))]
        terms.append(Term(named("shift", [c]), (shift,)))
        return Derivation(
            "brought to mean 0 and variance 1, then scaled and shifted",
            (*lines, normalised, self.line_of_value(place, "scale normalised + shift", terms)),
        )

    def delta(self, place: Place) -> Derivation:
        c = place[1]
        lines = list(self._statistics(c))
        factor = Line("scale / s", "", given=self._scale(c) / lines[-1].value)
        terms = [Term(f"scale/s {self.named('δ', place)}", (factor.value, float(self.delta_y[place])))]
        lines.append(factor)
        if not self.settings.frozen:
            count = len(self._places(c))
            total, product = self._sum_of_deltas(c), self._sum_of_products(c, lines)
            normalised = self._normalised(place, lines)
            lines += [total, product, normalised]
            terms.append(Term("- scale/s Σδ/M", (-factor.value, total.value / count)))
            terms.append(
                Term("- scale/s normalised Σ(δ normalised)/M", (-factor.value, normalised.value, product.value / count))
            )
        title = "three ways: the number itself, through the mean, and through the variance"
        if self.settings.frozen:
            title = "the delta times scale / s: mean and deviation are constants, as the layer is frozen"
        return Derivation(title, (*lines, self.line_of_delta(place, "the sum of the terms", terms)))

    def gradient(self, tensor: str, index: tuple[int, ...]) -> Derivation:
        c = index[0]
        if tensor == "shift":
            terms = self._sum_of_deltas(c).terms
            return Derivation("the sum of the delta", (self.line_of_gradient(tensor, index, "Σ δ", terms),))
        lines = list(self._statistics(c))
        terms = self._sum_of_products(c, lines).terms
        line = self.line_of_gradient(tensor, index, "Σ δ normalised", terms)
        return Derivation("delta times the normalised value", (*lines, line))

    def _places(self, c: int) -> list[Place]:
        return list(self._walk(c))

    def _walk(self, c: int) -> Iterator[Place]:
        shape = self.traced.row.input_shape
        for n in range(self.images):
            for i in range(shape.rows):
                for j in range(shape.columns):
                    yield n, c, i, j

    def _statistics(self, c: int) -> tuple[Line, Line, Line]:
        """Mean, variance and deviation of a channel."""
        if self.settings.frozen:
            mean, variance = (
                Line(f"{name}[{c}]", f"the {name.replace('_', ' ')}", given=float(self.traced.statistics[name][0][c]))
                for name in ("running_mean", "running_variance")
            )
        else:
            places = self._places(c)
            terms = tuple(Term(self.named("x", place), (float(self.x[place]),)) for place in places)
            mean = Line("mean", f"Σ x / {len(places)}", terms, float(len(places)))
            squares = []
            for place in places:
                distance = float(self.x[place]) - mean.value
                squares.append(Term(f"({self.named('x', place)} - mean)²", (distance, distance)))
            variance = Line("variance", f"Σ (x - mean)² / {len(places)}", tuple(squares), float(len(places)))
        deviation = math.sqrt(variance.value + self.settings.epsilon)
        return mean, variance, Line("s", f"√(variance + {self.settings.epsilon:g})", given=deviation)

    def _normalised(self, place: Place, lines: list[Line]) -> Line:
        value = (float(self.x[place]) - lines[0].value) / lines[2].value
        return Line(
            "normalised", f"({self.named('x', place)} - mean) / s, with x = {float(self.x[place]):.6g}", given=value
        )

    def _sum_of_deltas(self, c: int) -> Line:
        terms = [Term(self.named("δ", place), (float(self.delta_y[place]),)) for place in self._places(c)]
        return Line("Σδ", "of the channel", tuple(terms))

    def _sum_of_products(self, c: int, lines: list[Line]) -> Line:
        terms = []
        for place in self._places(c):
            normalised = (float(self.x[place]) - lines[0].value) / lines[2].value
            label = f"{self.named('δ', place)} normalised"
            terms.append(Term(label, (float(self.delta_y[place]), normalised)))
        return Line("Σ(δ normalised)", "of the channel", tuple(terms))

    def _scale(self, c: int) -> float:
        return self._learned_or("scale", c, 1.0)

    def _learned_or(self, tensor: str, c: int, default: float) -> float:
        found = self.learned(tensor)
        return default if found is None else float(found[c])


class LocalResponseFormulas(Formulas):
    """Every number is damped by its neighbours on the same pixel, or in the same channel."""

    def __init__(self, traced: LayerTrace, step: int) -> None:
        super().__init__(traced, step)
        self.across = self.settings.region == "across_channels"
        self.count = self.settings.size if self.across else self.settings.size**2

    def value(self, place: Place) -> Derivation:
        scale = self._scale(place)
        power = Line("scale^-beta", f"beta = {self.settings.beta:g}", given=scale.value**-self.settings.beta)
        terms = [Term(f"{self.named('x', place)} scale^-beta", (float(self.x[place]), power.value))]
        return Derivation("damped by its neighbours", (scale, power, self.line_of_value(place, "x scale^-beta", terms)))

    def delta(self, place: Place) -> Derivation:
        own = self._scale(place)
        ratios = []
        for other in self._neighbours(place):
            value = float(self.delta_y[other]) * float(self.y[other]) / self._scale(other).value
            ratios.append(Term(f"δ y / scale at {named('', other[1:])}", (value,)))
        handed = Line("R", "Σ δ y / scale over the neighbours", tuple(ratios))
        alpha, beta = self.settings.alpha, self.settings.beta
        terms = [
            Term(f"{self.named('δ', place)} scale^-beta", (float(self.delta_y[place]), own.value**-beta)),
            Term(
                f"- 2 alpha beta / {self.count} {self.named('x', place)} R",
                (-2 * alpha * beta / self.count, float(self.x[place]), handed.value),
            ),
        ]
        return Derivation(
            "its own delta, and what it did to its neighbours",
            (own, handed, self.line_of_delta(place, "δ scale^-beta - 2 alpha beta / n x R", terms)),
        )

    def _scale(self, place: Place) -> Line:
        share = self.settings.alpha / self.count
        terms = [Term("k", (self.settings.k,))]
        for other in self._neighbours(place):
            value = float(self.x[other])
            terms.append(Term(f"alpha/{self.count} {self.named('x', other)}²", (share, value, value)))
        return Line("scale", f"k + alpha/{self.count} Σ x² over the neighbours", tuple(terms))

    def _neighbours(self, place: Place) -> Iterator[Place]:
        n, c, i, j = place
        channels, rows, columns = self.traced.row.input_shape
        reach = self.settings.size // 2
        if self.across:
            for k in range(max(c - reach, 0), min(c + reach + 1, channels)):
                yield n, k, i, j
            return
        for y in range(max(i - reach, 0), min(i + reach + 1, rows)):
            for x in range(max(j - reach, 0), min(j + reach + 1, columns)):
                yield n, c, y, x
