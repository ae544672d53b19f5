"""Layers that pass numbers on: `flatten`, `dropout`, `residual`, `branches`, `repeat`."""

from __future__ import annotations

import numpy as np

from cnntrain.explain.account import Derivation, Formulas, Place, Term
from cnntrain.explain.trace import Array, LayerTrace
from cnntrain.kernels.layout import from_lanes
from cnntrain.layers import Batch
from cnntrain.shape import LANES


class PassedOnFormulas(Formulas):
    """y = x."""

    def value(self, place: Place) -> Derivation:
        terms = [Term(self.named("x", place), (float(self.x[place]),))]
        return Derivation("passed on as it is", (self.line_of_value(place, "x", terms),))

    def delta(self, place: Place) -> Derivation:
        terms = [Term(self.named("δ", place), (float(self.delta_y[place]),))]
        return Derivation("passed back as it is", (self.line_of_delta(place, "δ", terms),))


class DropoutFormulas(Formulas):
    """y = x mask / (1 - rate): the same mask forward and backward, drawn for the step."""

    def __init__(self, traced: LayerTrace, step: int) -> None:
        super().__init__(traced, step)
        self.mask = _mask(traced, step)

    def value(self, place: Place) -> Derivation:
        return self._times_mask(place, "x", self.x)

    def delta(self, place: Place) -> Derivation:
        return self._times_mask(place, "δ", self.delta_y)

    def _times_mask(self, place: Place, letter: str, array: Array) -> Derivation:
        kept, factor = float(self.mask[place]), 1 / (1 - self.settings.rate)
        terms = [
            Term(
                f"{self.named(letter, place)} mask 1/(1 - {self.settings.rate:g})", (float(array[place]), kept, factor)
            )
        ]
        line = self.line_of_value if letter == "x" else self.line_of_delta
        title = "kept, and scaled up for what was dropped" if kept else "dropped in this step"
        return Derivation(title, (line(place, f"{letter} mask / (1 - rate)", terms),))


class RepeatFormulas(Formulas):
    """The output of the last layer inside; back, what the first one hands back."""

    def value(self, place: Place) -> Derivation:
        last = self.traced.inside[0][1][-1]
        terms = [Term(f"output of {last.path}", (float(last.output[place]),))]
        return Derivation("what the last layer inside gives", (self.line_of_value(place, "output of the last", terms),))

    def delta(self, place: Place) -> Derivation:
        first = self.traced.inside[0][1][0]
        terms = [Term(f"dL/dx of {first.path}", (_sent_back(first.grad_input, place),))]
        return Derivation(
            "what the first layer inside sends back", (self.line_of_delta(place, "dL/dx of the first", terms),)
        )


class ResidualFormulas(Formulas):
    """y = body(x) + shortcut(x); what comes back on both ways is added."""

    def value(self, place: Place) -> Derivation:
        body = self.traced.inside[0][1]
        terms = [Term(f"output of {body[-1].path}", (float(body[-1].output[place]),))]
        terms += self._shortcut(place)
        return Derivation("body plus shortcut", (self.line_of_value(place, "body(x) + shortcut(x)", terms),))

    def delta(self, place: Place) -> Derivation:
        body = self.traced.inside[0][1]
        terms = [Term(f"dL/dx of {body[0].path}", (_sent_back(body[0].grad_input, place),))]
        terms += self._shortcut_back(place)
        return Derivation(
            "what comes back through the body, and through the shortcut",
            (self.line_of_delta(place, "dL/dx of the body + of the shortcut", terms),),
        )

    def _shortcut(self, place: Place) -> list[Term]:
        n, c, i, j = place
        if len(self.traced.inside) == 1:  # zero_padded
            taken = self.settings.subsampling(self.traced.row.input_shape, self.traced.row.output_shape)
            if c >= taken.in_channels:
                return [Term("the shortcut has no such channel", (0.0,))]
            source = (n, c, i * taken.row_stride, j * taken.column_stride)
            return [Term(self.named("x", source), (float(self.x[source]),))]
        layers = self.traced.inside[1][1]
        if not layers:
            return [Term(self.named("x", place), (float(self.x[place]),))]
        return [Term(f"output of {layers[-1].path}", (float(layers[-1].output[place]),))]

    def _shortcut_back(self, place: Place) -> list[Term]:
        n, c, i, j = place
        if len(self.traced.inside) == 1:
            taken = self.settings.subsampling(self.traced.row.input_shape, self.traced.row.output_shape)
            if i % taken.row_stride or j % taken.column_stride:
                return [Term("the shortcut does not take this pixel", (0.0,))]
            place = (n, c, i // taken.row_stride, j // taken.column_stride)
            return [Term(self.named("δ", place), (float(self.delta_y[place]),))]
        layers = self.traced.inside[1][1]
        if not layers:
            return [Term(self.named("δ", place), (float(self.delta_y[place]),))]
        return [Term(f"dL/dx of {layers[0].path}", (_sent_back(layers[0].grad_input, place),))]


class BranchesFormulas(Formulas):
    """All branches see the same input; their outputs are added, or stand one behind the other as channels."""

    def value(self, place: Place) -> Derivation:
        n, c, i, j = place
        if self.settings.merge == "add":
            terms = [Term(name, (float(output[place]),)) for name, output in self._outputs()]
            return Derivation("the sum of the branches", (self.line_of_value(place, "Σ outputs", terms),))
        for name, output in self._outputs():
            if c < output.shape[1]:
                terms = [Term(f"{name}, channel {c}", (float(output[n, c, i, j]),))]
                return Derivation("the branch that has this channel", (self.line_of_value(place, "its output", terms),))
            c -= output.shape[1]
        raise AssertionError("the branches have the channels together")

    def delta(self, place: Place) -> Derivation:
        terms, first = [], 0
        for label, layers in self.traced.inside:
            if layers:
                terms.append(Term(f"dL/dx of {layers[0].path}", (_sent_back(layers[0].grad_input, place),)))
                first += layers[-1].output.shape[1]
                continue
            n, c, i, j = place
            source = place if self.settings.merge == "add" else (n, c + first, i, j)
            terms.append(
                Term(f"{self.named('δ', source)} (branch {label} passes it on)", (float(self.delta_y[source]),))
            )
            first += self.x.shape[1]
        return Derivation(
            "what comes back from all branches", (self.line_of_delta(place, "Σ dL/dx of the branches", terms),)
        )

    def _outputs(self) -> list[tuple[str, Array]]:
        return [
            (
                f"output of {layers[-1].path}" if layers else f"x (branch {label})",
                layers[-1].output if layers else self.x,
            )
            for label, layers in self.traced.inside
        ]


def _sent_back(grad_input: Array | None, place: Place) -> float:
    assert grad_input is not None  # networks of traces pass it all the way back
    return float(grad_input[place])


def _mask(traced: LayerTrace, step: int) -> Array:
    """Return 1 where a dropout layer keeps a number in a step, 0 elsewhere: what its kernel makes of ones.

    The mask is nowhere stored; where the input is 0 the output does not show it.
    """
    images, shape = len(traced.input), traced.row.input_shape
    batch = Batch(images, training=True, step=step)
    made = traced.layer.forward(np.ones(batch.blocks * shape.size * LANES), batch)
    result = np.empty(traced.input.shape)
    from_lanes(made, result.reshape(-1), images, *shape)
    return (result != 0).astype(np.float64)
