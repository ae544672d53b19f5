"""The sheet of gradient descent, and the updates that follow from it on the layers' sheets."""

from __future__ import annotations

from typing import Any

from cnntrain.explain.trace import ParameterTrace, Trace
from cnntrain.explain.workbook.arrays import Learned, learned
from cnntrain.explain.workbook.layer_sheet import LayerSheet
from cnntrain.explain.workbook.sheet import Book, Ref, constant


class StepSheet:
    """The numbers of gradient descent, and the updates that follow from them.

    Parameters
    ----------
    book : Book
    trace : Trace
    """

    def __init__(self, book: Book, trace: Trace) -> None:
        assert trace.optimizer is not None  # an example has one
        self.book, self.trace, self.settings = book, trace, trace.optimizer.settings
        settings = self.settings
        words = "v = momentum v + g + decay w;  w after = w - rate v"
        if settings.nesterov:
            words = "v = momentum v + g + decay w;  w after = w - rate (g + decay w + momentum v)"
        self.sheet = book.sheet("Step", "Step: sgd", words, "BE123C")
        self.rate = self._number(4, "learning rate", trace.learning_rate)
        self.momentum = self._number(5, "momentum", settings.momentum) if settings.momentum else None
        self.decay = self._number(6, "weight decay", settings.weight_decay) if settings.weight_decay else None
        self.l1 = self._number(7, "l1 decay", settings.l1_decay) if settings.l1_decay else None
        self.limit = self._number(8, "clip value", settings.clip_value) if settings.clip_value else None
        self.norm = self._number(9, "clip norm", settings.clip_norm) if settings.clip_norm else None
        self.scale = None if self.norm is None else Ref("Step", 11, 3, 11, 3)  # written when all gradients are there

    def _number(self, row: int, name: str, value: float) -> Ref:
        self.sheet.text(row, 1, name)
        return self.sheet.put(row, 3, float(value), "General", is_input=True)

    @staticmethod
    def count(trace: Trace, parameter: ParameterTrace) -> int:
        """Return how many formulas a learned array's update takes."""
        assert trace.optimizer is not None
        if not parameter.parameter.learning_rate:
            return 0
        return parameter.value.size * (2 if trace.optimizer.settings.momentum else 1)

    def finish(self, layers: list[LayerSheet]) -> None:
        """Write the norm of all gradients, where they are clipped by it."""
        if self.norm is None:
            return
        parts = [
            f"SUMSQ({self.sheet.seen(block.whole)})"
            for layer in layers
            for name, gradient in layer.gradients.items()
            if layer.traced.parameters[name].parameter.learning_rate
            for block in _blocks(gradient)
        ]
        self.sheet.text(10, 1, "norm of all gradients")
        norm = self.sheet.put(10, 3, f"SQRT({'+'.join(parts)})", "General")
        self.sheet.text(11, 1, "gradients are multiplied with")
        self.sheet.put(11, 3, f"MIN(1,{self.sheet.seen(self.norm)}/({self.sheet.seen(norm)}+0.000001))", "General")

    def update(self, layer: LayerSheet, name: str) -> None:
        """Write the new values of a learned array below its layer's gradients."""
        traced = layer.traced.parameters[name]
        parameter, sheet = traced.parameter, layer.sheet
        if not parameter.learning_rate:
            return
        gradient, weight = layer.gradients[name], layer.weights[name]

        def pulled(index: tuple[int, ...]) -> str:
            g, w = layer.ref(gradient.at(index)), layer.ref(weight.at(index))
            text = g if self.scale is None else f"{g}*{sheet.seen(self.scale)}"
            if self.limit is not None:
                limit = sheet.seen(self.limit)
                text = f"MAX(-{limit},MIN({limit},{text}))"
            factor = "" if parameter.weight_decay == 1 else f"*{constant(parameter.weight_decay)}"
            if self.decay is not None and parameter.weight_decay:
                text += f"+{sheet.seen(self.decay)}{factor}*{w}"
            if self.l1 is not None and parameter.weight_decay:
                text += f"+{sheet.seen(self.l1)}{factor}*SIGN({w})"
            return text

        rate = sheet.seen(self.rate) + ("" if parameter.learning_rate == 1 else f"*{constant(parameter.learning_rate)}")
        moved = self._with_momentum(layer, traced, pulled, rate) if self.momentum else None
        formula = "w - rate (g + decay w)" if moved is None else moved[0]
        made = learned(
            sheet, f"{name}, after the step", formula, traced.value.shape,
            lambda at: f"{layer.ref(weight.at(at))}-"
            + (f"{rate}*({pulled(at)})" if moved is None else moved[1](at)), "update",
        )  # fmt: skip
        self.book.arrays[layer.traced.path, f"{name} after"] = made.at

    def _with_momentum(self, layer: LayerSheet, traced: ParameterTrace, pulled: Any, rate: str) -> tuple[str, Any]:
        """Write the velocity before and after; return what is subtracted, in letters and as a formula."""
        assert self.momentum is not None
        sheet, name = layer.sheet, traced.name
        kept = self.trace.kept[f"velocity/{traced.parameter.name}"][0]
        momentum, nesterov, caffe = sheet.seen(self.momentum), self.settings.nesterov, self.settings.form == "caffe"
        before = learned(
            sheet, f"velocity of {name}, before", "kept from the steps before", kept.shape,
            lambda at: float(kept[at]), "update", is_input=True,
        )  # fmt: skip
        pushed = (lambda at: f"{rate}*({pulled(at)})") if caffe else pulled
        after = learned(
            sheet, f"velocity of {name}, after", "momentum v + " + ("rate (g + decay w)" if caffe else "g + decay w"),
            kept.shape, lambda at: f"{momentum}*{layer.ref(before.at(at))}+{pushed(at)}", "update",
        )  # fmt: skip
        self.book.arrays[traced.parameter.name, "velocity"] = after.at

        def taken(at: tuple[int, ...]) -> str:
            v, old = layer.ref(after.at(at)), layer.ref(before.at(at))
            if caffe:
                return f"((1+{momentum})*{v}-{momentum}*{old})" if nesterov else v
            return f"{rate}*({v}-{momentum}*{old}+{momentum}*{v})" if nesterov else f"{rate}*{v}"

        letters = "w - v" if caffe else "w - rate v"
        if nesterov:
            letters = "w - ((1 + momentum) v - momentum v before)" if caffe else "w - rate (g + decay w + momentum v)"
        return letters, taken


def _blocks(gradient: Learned) -> list[Any]:
    if gradient.block is not None:
        return [gradient.block]
    return [block for made in gradient.filters for block in made.blocks]
