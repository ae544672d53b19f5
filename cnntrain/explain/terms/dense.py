"""`dense`: y = W x + b, and back."""

from __future__ import annotations

import numpy as np

from cnntrain.explain.account import Derivation, Formulas, Place, Term, named


class DenseFormulas(Formulas):
    """The image is flattened in the order channel, row, column."""

    def value(self, place: Place) -> Derivation:
        n, k = place[:2]
        bias, weight = self.learned("bias"), self.traced.parameters["weight"].value
        terms = [] if bias is None else [Term(named("b", [k]), (float(bias[k]),))]
        flat = self.x[n].reshape(-1)
        for i in range(flat.size):
            label = f"{named('w', [k, i])} {self.named('x', self._unflat(n, i))}"
            terms.append(Term(label, (float(weight[k, i]), float(flat[i]))))
        formula = "Σ w x" if bias is None else "b + Σ w x"
        title = "each input times its weight" + ("" if bias is None else ", and the bias")
        return Derivation(title, (self.line_of_value(place, formula, terms),))

    def delta(self, place: Place) -> Derivation:
        i = int(np.ravel_multi_index(place[1:], self.x.shape[1:]))
        weight = self.traced.parameters["weight"].value
        terms = [
            Term(
                f"{named('w', [k, i])} {self.named('δ', (place[0], k, 0, 0))}",
                (float(weight[k, i]), float(self.delta_y[place[0], k, 0, 0])),
            )
            for k in range(len(weight))
        ]
        return Derivation(
            "what each output's delta sends back through its weight", (self.line_of_delta(place, "Σ w δ", terms),)
        )

    def gradient(self, tensor: str, index: tuple[int, ...]) -> Derivation:
        k, images = index[0], range(self.images)
        deltas = [(self.named("δ", (n, k, 0, 0)), float(self.delta_y[n, k, 0, 0])) for n in images]
        if tensor == "bias":
            terms = [Term(label, (value,)) for label, value in deltas]
            return Derivation("the delta, over the images", (self.line_of_gradient(tensor, index, "Σ δ", terms),))
        places = [self._unflat(n, index[1]) for n in images]
        terms = [
            Term(f"{label} {self.named('x', place)}", (value, float(self.x[place])))
            for (label, value), place in zip(deltas, places, strict=True)
        ]
        return Derivation("delta times input, over the images", (self.line_of_gradient(tensor, index, "Σ δ x", terms),))

    def _unflat(self, n: int, i: int) -> Place:
        c, y, x = np.unravel_index(i, self.x.shape[1:])
        return n, int(c), int(y), int(x)
