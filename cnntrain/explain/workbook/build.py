"""From a traced step to a workbook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnntrain.errors import ArgumentError
from cnntrain.explain.example import Example
from cnntrain.explain.trace import LayerTrace, Trace
from cnntrain.explain.workbook.front import front_sheet
from cnntrain.explain.workbook.image_and_loss import image_sheet, loss_refusal, loss_sheet
from cnntrain.explain.workbook.layer_sheet import LayerSheet
from cnntrain.explain.workbook.layers import SHEETS
from cnntrain.explain.workbook.sheet import Book
from cnntrain.explain.workbook.step import StepSheet
from cnntrain.layers import LAYERS
from cnntrain.optimizers.sgd import Sgd

LIMIT = 60_000  # formulas: what a spreadsheet still recomputes in about a second
COLUMNS = 16_384  # of a sheet
_NAME = 31  # characters of a sheet's name


def build(example: Example, trace: Trace) -> Book:
    """Write all sheets; raises `ArgumentError` where a network is too large, or something has no formula."""
    layers = list(_leaves(trace.layers))
    _refuse(trace, layers)
    book = Book()
    front = book.sheet("Read me", "", "", "111827")
    current = image_sheet(book, example)
    sheets: list[LayerSheet] = []
    for number, layer in enumerate(layers):
        name = layer.path if len(layer.path) <= _NAME else f"{number}.{layer.row.name}"[:_NAME]
        sheets.append(SHEETS[layer.row.name](book, layer, name, trace.step))
        current = sheets[-1].forward(current)
        book.arrays[layer.path, "output"] = current.at
    gradients, loss = loss_sheet(book, example, trace, [current.at(index) for index in current.indices])
    step = StepSheet(book, trace)
    delta = sheets[-1].from_loss(gradients)
    for sheet in reversed(sheets):
        delta = sheet.backward(delta)
        book.arrays[sheet.traced.path, "grad_input"] = delta.at
        for name, made in sheet.gradients.items():
            book.arrays[sheet.traced.path, f"dL/d{name}"] = made.at
            step.update(sheet, name)
        for name, weight in sheet.weights.items():
            book.arrays[sheet.traced.path, name] = weight.at
    step.finish(sheets)
    front_sheet(book, front, example, trace, [sheet.sheet.name for sheet in sheets], loss)
    return book


def count(trace: Trace) -> int:
    """Return how many formulas a workbook will have."""
    classes, softmax = trace.logits.shape[1], trace.loss_layer.name == "cross_entropy"
    formulas = trace.images[0].size + classes * (5 if softmax else 3) + 1
    formulas += trace.logits.shape[1]  # dL/d(output) of the last layer
    for layer in _leaves(trace.layers):
        formulas += SHEETS[layer.row.name].count(layer)
        formulas += sum(StepSheet.count(trace, parameter) for parameter in layer.parameters.values())
    assert trace.optimizer is not None  # an example has one
    return formulas + (2 if trace.optimizer.settings.clip_norm is not None else 0) + 2


def _refuse(trace: Trace, layers: Sequence[LayerTrace]) -> None:
    if len(trace.labels) > 1:
        raise ArgumentError("a workbook is about one image: leave --images out")
    reasons = []
    for layer in layers:
        if layer.row.name not in SHEETS or LAYERS.get(layer.row.name) is not layer.row.layer:
            reasons.append(f"the layer {layer.path}")
        elif (reason := SHEETS[layer.row.name].refusal(layer)) is not None:
            reasons.append(f"the layer {layer.path} ({reason})")
    loss = loss_refusal(trace)
    reasons += [loss] if loss else []
    if not isinstance(trace.optimizer, Sgd):
        name = "none" if trace.optimizer is None else trace.optimizer.name
        reasons.append(f"the optimiser {name} (try --set 'optimizer={{sgd: 0.05}}')")
    elif not trace.plain_step:
        reasons.append("lookahead and layers that learn in some epochs only")
    if reasons:
        raise ArgumentError(
            f"a workbook has no formulas for {'; '.join(reasons)}; they are there for {', '.join(SHEETS)}"
        )
    formulas = count(trace)
    if formulas > LIMIT:
        raise ArgumentError(
            f"the workbook would have {formulas:,} cells with formulas, at most {LIMIT:,} are written: make the "
            "network smaller (--set network=...): fewer filters, a larger stride, pooling before the dense layers"
        )
    for layer in layers:
        channels, _, columns = layer.row.input_shape
        wide = max(channels * (columns + 1), layer.row.input_shape.size if layer.row.name == "dense" else 0)
        if wide + 2 > COLUMNS:
            raise ArgumentError(f"{layer.path}: its input is {wide:,} columns wide, a sheet has {COLUMNS:,}")


def _leaves(layers: Sequence[LayerTrace]) -> Iterator[LayerTrace]:
    """Yield the layers one after the other, those of `repeat` written out."""
    for layer in layers:
        if layer.row.name == "repeat":
            yield from _leaves(layer.inside[0][1])
        else:
            yield layer
