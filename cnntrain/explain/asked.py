"""Which number of a traced step is asked for, and its derivation."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from cnntrain.errors import ArgumentError
from cnntrain.explain.account import Derivation, Line, Place, named
from cnntrain.explain.difference import Difference, Differences
from cnntrain.explain.example import Example
from cnntrain.explain.terms import formulas_of
from cnntrain.explain.terms.loss import loss_gradient
from cnntrain.explain.terms.update import update_of
from cnntrain.explain.trace import LayerTrace, ParameterTrace, Trace
from cnntrain.hints import hint
from cnntrain.printable import printable

NO_FORMULA = "a layer of your own: cnntrain knows no formula for it, only what the layer gave"


@dataclass(frozen=True)
class Asked:
    """A number, as the command line names it; texts like "2,9,11".

    Attributes
    ----------
    layer : str or None
        Its path.
    at : str or None
        An element of the layer's output: [image,] channel, row, column.
    grad_input : str or None
        An element of the delta that the layer passes back, dL/d(input).
    weight : str or None
        An element of its weight: the gradient and the update.
    parameter : str or None
        The same of any learned array: "bias=2".
    logit : str or None
        An output of the network: [image,] class; what the loss passes back to it.
    """

    layer: str | None = None
    at: str | None = None
    grad_input: str | None = None
    weight: str | None = None
    parameter: str | None = None
    logit: str | None = None

    @property
    def given(self) -> list[str]:
        """Names of what is asked, beside the layer."""
        return [each.name for each in fields(self) if each.name != "layer" and getattr(self, each.name) is not None]


@dataclass(frozen=True)
class Number:
    """A number with its derivation.

    Attributes
    ----------
    path : str
        Of the layer, or "loss".
    shapes : str
        Of the layer: "1x28x28 -> 6x28x28".
    kind : str
        "value", "delta" or "gradient".
    derivation : Derivation
    difference : Difference or None
        The same by a central difference, for what is a gradient.
    update : Derivation or None
        The optimiser's step, for what is learned.
    """

    path: str
    shapes: str
    kind: str
    derivation: Derivation
    difference: Difference | None = None
    update: Derivation | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "layer": self.path, "kind": self.kind, "value": self.derivation.last.value,
            "derivation": self.derivation.as_dict(),
            "central_difference": None if self.difference is None else self.difference.as_dict(),
            "update": None if self.update is None else self.update.as_dict(),
        }  # fmt: skip


def answer(asked: Asked, example: Example, trace: Trace) -> Number | None:
    """Derive what is asked; None if nothing is.

    Raises
    ------
    ArgumentError
        There is no such layer or number, or too much or too little is named.
    MismatchError
        The derivation does not give the kernels' number.
    """
    if not asked.given:
        if asked.layer is not None:
            raise ArgumentError(f"--layer {asked.layer} says no number: {_choices(_layer(trace, asked.layer))}")
        return None
    if len(asked.given) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in asked.given)
        raise ArgumentError(f"one number at a time: {names} are given")
    differences = Differences(example.network, trace)
    if asked.logit is not None:
        if asked.layer is not None:
            raise ArgumentError("--logit is about the loss: leave --layer out")
        number = _logit(asked.logit, trace, differences)
    elif asked.layer is None:
        paths = ", ".join(layer.path for layer in trace.walk())
        raise ArgumentError(f"--{asked.given[0].replace('_', '-')} needs --layer PATH; the layers are {paths}")
    else:
        number = _of_layer(asked, _layer(trace, asked.layer), trace, differences)
    number.derivation.check(number.path)
    if number.update is not None:
        number.update.check(number.path)
    return number


def _layer(trace: Trace, path: str) -> LayerTrace:
    """Find a layer by its path, or by the number that its path begins with."""
    found = {layer.path: layer for layer in trace.walk()}
    short = [layer.path for layer in trace.layers if layer.path.partition(".")[0] == path]
    if path not in found and not short:
        known = list(found)
        text = hint(path, known) or f"; the layers are {', '.join(known)}"
        raise ArgumentError(f'no layer "{printable(path)}"{text}')
    return found[path if path in found else short[0]]


def _choices(layer: LayerTrace) -> str:
    row = layer.row
    learned = "".join(f", --parameter {name}={_example(p.value.shape)}" for name, p in layer.parameters.items())
    return (
        f"give --at {_example(row.output_shape)} (of its output, {row.output_shape}), --grad-input "
        f"{_example(row.input_shape)} (of dL/d(input), {row.input_shape}){learned}"
    )


def _example(shape: Sequence[int]) -> str:
    return ",".join("0" for _ in shape)


def _of_layer(asked: Asked, layer: LayerTrace, trace: Trace, differences: Differences) -> Number:
    formulas = formulas_of(layer, trace.step)
    shapes = f"{layer.row.input_shape} -> {layer.row.output_shape}"
    if asked.at is not None:
        place = _place(asked.at, layer.output.shape, "--at", f"the output of {layer.path}")
        made = _shown("y", place, layer.output) if formulas is None else formulas.value(place)
        return Number(layer.path, shapes, "value", made)
    if asked.grad_input is not None:
        _check_delta(layer)
        assert layer.grad_input is not None  # as was checked; for mypy
        place = _place(asked.grad_input, layer.input.shape, "--grad-input", f"the input of {layer.path}")
        made = _shown("dL/dx", place, layer.grad_input) if formulas is None else formulas.delta(place)
        return Number(layer.path, shapes, "delta", made, differences.of_input(layer, place))
    name, index, option = _tensor(asked, layer)
    _check_delta(layer)
    parameter = layer.parameters[name]
    place_in = _index(index, parameter.value.shape, option, f"{name} of {layer.path}")
    return _of_parameter(
        Number(layer.path, shapes, "gradient", _NOTHING), parameter, place_in, layer, trace, differences
    )


def _check_delta(layer: LayerTrace) -> None:
    if layer.grad_output is None or layer.grad_input is None:
        raise ArgumentError(f"{layer.path}: no delta comes this far back: a layer of your own returns none")


def _of_parameter(
    number: Number,
    parameter: ParameterTrace,
    index: tuple[int, ...],
    layer: LayerTrace,
    trace: Trace,
    differences: Differences,
) -> Number:
    formulas = formulas_of(layer, trace.step)
    update = update_of(trace, parameter, index)
    if parameter.parameter.frozen:
        line = Line(named(parameter.name, index), "stays as it is", given=float(parameter.value[index]))
        made = Derivation("frozen: its gradient is not computed", (line,))
        return Number(number.path, number.shapes, "gradient", made, None, update)
    if formulas is None:
        made = _shown(f"dL/d{parameter.name}", index, parameter.gradient)
    else:
        made = formulas.gradient(parameter.name, index)
    difference = differences.of_parameter(parameter, index)
    return Number(number.path, number.shapes, "gradient", made, difference, update)


_NOTHING = Derivation("", (Line("", ""),))


def _shown(letter: str, index: Sequence[int], array: np.ndarray) -> Derivation:
    line = Line(named(letter, index), "what the layer gave", given=float(array[tuple(index)]))
    return Derivation(NO_FORMULA, (line,))


def _logit(text: str, trace: Trace, differences: Differences) -> Number:
    images, classes = trace.logits.shape
    index = _numbers(text, "--logit")
    if len(index) == 1:
        index = (0, *index)
    if len(index) != 2 or index[0] >= images or index[1] >= classes:
        batch = "" if images == 1 else f", of image 0 to {images - 1} first if you like"
        raise ArgumentError(f"--logit {text}: the network gives {classes} logits, 0 to {classes - 1}{batch}")
    made = loss_gradient(trace, *index)
    return Number("loss", f"{trace.loss_layer.name} of {classes} logits", "delta", made, differences.of_logit(*index))


def _tensor(asked: Asked, layer: LayerTrace) -> tuple[str, str, str]:
    """Return the learned array's name, the index's text, and what it was given by."""
    if asked.weight is not None:
        name, text, option = "weight", asked.weight, "--weight"
    else:
        assert asked.parameter is not None  # something is given
        name, equals, text = asked.parameter.partition("=")
        option = "--parameter"
        if not equals:
            raise ArgumentError(f'--parameter {asked.parameter}: give a name and an index, for example "bias=2"')
    if name not in layer.parameters:
        learned = ", ".join(layer.parameters) or "nothing"
        inside = f" (layers inside it may: {', '.join(each.path for each in layer.walk() if each is not layer)})"
        raise ArgumentError(
            f'{layer.path} has no "{printable(name)}": it learns {learned}{inside if layer.inside else ""}'
        )
    return name, text, option


def _place(text: str, shape: tuple[int, ...], option: str, what: str) -> Place:
    """Read [image,] channel, row, column; rows and columns may be left out where there is one of each."""
    index = _numbers(text, option)
    images, channels, rows, columns = shape
    if len(index) == 1 and rows == columns == 1:
        index = (*index, 0, 0)
    if len(index) == 2 and rows == columns == 1:
        index = (*index, 0, 0)
    if len(index) == 3:
        index = (0, *index)
    if len(index) != 4 or any(at >= size for at, size in zip(index, shape, strict=True)):
        forms = "channel,row,column" if max(rows, columns) > 1 else "channel"
        batch = f"; of one of the {images} images: image,{forms}" if images > 1 else ""
        raise ArgumentError(f"{option} {text}: {what} is {channels}x{rows}x{columns}: {forms} from 0{batch}")
    n, c, i, j = index
    return n, c, i, j


def _index(text: str, shape: tuple[int, ...], option: str, what: str) -> tuple[int, ...]:
    index = _numbers(text, option)
    if len(index) != len(shape) or any(at >= size for at, size in zip(index, shape, strict=True)):
        last = ",".join(str(size - 1) for size in shape)
        raise ArgumentError(
            f"{option} {text}: {what} has {math.prod(shape):,} numbers, {'x'.join(map(str, shape))}: "
            f"{_example(shape)} to {last}"
        )
    return index


def _numbers(text: str, option: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\s*[0-9]{1,9}\s*(,\s*[0-9]{1,9}\s*)*", text, re.ASCII):
        raise ArgumentError(
            f"{option} {text}: must be whole numbers from 0 on, with commas between them, such as 2,9,11"
        )
    return tuple(map(int, text.split(",")))
