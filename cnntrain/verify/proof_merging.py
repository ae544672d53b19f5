"""Proof of where paths fork and meet: `residual`, `branches`, and of `dropout`, which passes on or does not.

The sequences inside are proven by themselves. Here each is replaced by a layer that gives whole numbers of its own,
forward and backward, and remembers what it got.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.layers import Batch, Layer, LayerContext, LayerRow
from cnntrain.layers.base import PlannedPart
from cnntrain.layers.container import Container
from cnntrain.shape import Shape
from cnntrain.verify.proof import Ledger, PassProof
from cnntrain.verify.whole_numbers import LARGEST, Whole, chance, difference, draw, whole
from cnntrain.verify.workbench import Workbench, enter, leave


class StandIn(Layer):
    """Gives what it was told to give, and remembers what it got.

    Attributes
    ----------
    gives, returns : ndarray
        The next output and the next dL/d(input), (images, channels, rows, columns).
    got, got_back : ndarray
        The last input and the last dL/d(output).
    """

    name = "stand-in"

    gives: Whole
    returns: Whole
    got: NDArray[Any]
    got_back: NDArray[Any]

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        self._row, self.output = row, context.buffer(row.output_shape)
        self._grad_input = context.reserve(row.input_shape)
        self._over = row.input_shape.size == row.output_shape.size  # as a layer that goes element by element does
        self.gives = self.returns = np.zeros(0, np.int64)

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Give `gives`."""
        self.got = leave(x, batch.images, self._row.input_shape)
        enter(self.gives, self.output, fill=0.0)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Give `returns`."""
        self.got_back = leave(grad_output, batch.images, self._row.output_shape)
        room = self._grad_input
        grad_input = room.over(grad_output) if self._over else room.beside(grad_output)
        enter(self.returns, grad_input, fill=0.0)
        return grad_input


class FreeStandIn(StandIn):
    """One whose output may be written over."""

    output_is_free = True


def _with_stand_ins(row: LayerRow, kind: type[StandIn]) -> LayerRow:
    """Replace what is inside; a part without layers, which passes its input on, stays."""
    parts = []
    for number, part in enumerate(row.parts):
        inside = LayerRow(kind, None, f"{row.path}.{number}.stand-in", part.input_shape, part.output_shape, {}, 0)
        parts.append(replace(part, rows=(inside,) if part.rows else ()))
    return replace(row, parts=tuple(parts))


def prove_merging(row: LayerRow, batches: list[tuple[int, int]], dtype: np.dtype, seed: int) -> list[PassProof]:
    """Prove that a container gives each sequence its input, puts outputs together, and the same on the way back."""
    generator = np.random.default_rng([seed, *row.path.encode()])
    joins = row.name == "branches" and row.settings.merge == "concat"
    what = "concatenation" if joins else "sum"
    numbers = f"{dtype} ±{LARGEST}"
    forward, back = (Ledger(name, what, numbers, chance([LARGEST])) for name in ("forward", "to input"))
    most = max(map(max, batches))
    benches = [Workbench(_with_stand_ins(row, kind), most, dtype) for kind in (StandIn, FreeStandIn)]
    for number, (images, before) in enumerate(batches):
        bench = benches[number % 2]  # what lies before the sum may be written over, or not
        _prepare(bench, row.parts, *_drawn(row, before, generator), joins, generator)
        bench.disturb(generator, before)
        x, delta = _drawn(row, images, generator)
        outputs, returned = _prepare(bench, row.parts, x, delta, joins, generator)
        y, grad = (whole(array, exact=True) for array in (bench.forward(x), bench.backward(delta)))
        right, right_back = _merged(row, outputs, returned, x, delta, joins)
        fault = y.fault or _given(bench, "got", [x] * len(row.parts)) or difference("output", y.values, right)
        forward.enter(fault)
        fault = grad.fault or bench.stray or _given(bench, "got_back", _cut(row.parts, delta, joins))
        back.enter(fault or difference("grad_input", grad.values, right_back))
    return [forward.close(row.path), back.close(row.path)]


def _drawn(row: LayerRow, images: int, generator: np.random.Generator) -> tuple[Whole, Whole]:
    """Draw an input and a gradient of the output."""
    x, delta = (draw(generator, LARGEST, images, *shape) for shape in (row.input_shape, row.output_shape))
    return x, delta


def _stand_ins(bench: Workbench) -> list[StandIn | None]:
    assert isinstance(bench.layer, Container)
    return [sequence.layers[0] if sequence.layers else None for sequence in bench.layer.sequences]  # type: ignore[misc]


def _prepare(
    bench: Workbench,
    parts: tuple[PlannedPart, ...],
    x: Whole,
    delta: Whole,
    joins: bool,
    generator: np.random.Generator,
) -> tuple[list[Whole], list[Whole]]:
    """Tell the stand-ins what to give; return what each sequence gives forward and backward."""
    outputs, returned = [], []
    cuts = _cut(parts, delta, joins)
    for part, stand_in, cut in zip(parts, _stand_ins(bench), cuts, strict=True):
        if stand_in is None:
            outputs.append(x)
            returned.append(cut)
            continue
        stand_in.gives = draw(generator, LARGEST, len(x), *part.output_shape)
        stand_in.returns = draw(generator, LARGEST, len(x), *part.input_shape)
        outputs.append(stand_in.gives)
        returned.append(stand_in.returns)
    return outputs, returned


def _cut(parts: tuple[PlannedPart, ...], delta: Whole, joins: bool) -> list[Whole]:
    """Return what of the gradient each sequence gets."""
    if not joins:
        return [delta] * len(parts)
    ends = np.cumsum([part.output_shape.channels for part in parts])
    return [delta[:, end - part.output_shape.channels : end] for part, end in zip(parts, ends, strict=True)]


def _merged(
    row: LayerRow, outputs: list[Whole], returned: list[Whole], x: Whole, delta: Whole, joins: bool
) -> tuple[Whole, Whole]:
    """Return output and dL/d(input) as they must be."""
    y = np.concatenate(outputs, axis=1) if joins else np.sum(outputs, axis=0)
    grad = np.sum(returned, axis=0)
    if row.name == "residual" and len(row.parts) == 1:  # zero_padded: every s-th pixel, zeros in further channels
        row_step, column_step = _steps(row.input_shape, row.output_shape)
        y[:, : x.shape[1]] += x[:, :, ::row_step, ::column_step]
        grad[:, :, ::row_step, ::column_step] += delta[:, : x.shape[1]]
    return y, grad


def _steps(image: Shape, body: Shape) -> tuple[int, int]:
    return -(-image.rows // body.rows), -(-image.columns // body.columns)


def _given(bench: Workbench, attribute: str, right: list[Whole]) -> str:
    """Say which sequence got something else than it should."""
    for number, (stand_in, expected) in enumerate(zip(_stand_ins(bench), right, strict=True)):
        if stand_in is not None:
            found = whole(getattr(stand_in, attribute), exact=True)
            fault = found.fault or difference(f"what sequence {number} got", found.values, expected)
            if fault:
                return fault
    return ""


def prove_dropout(row: LayerRow, batches: list[tuple[int, int]], dtype: np.dtype, seed: int) -> list[PassProof]:
    """Prove that values pass multiplied with 1 / (1 - rate), or not at all, and gradients in the same places."""
    bench = Workbench(row, max(map(max, batches)), dtype)
    generator = np.random.default_rng([seed, *row.path.encode()])
    factor = dtype.type(1 / (1 - row.settings.rate))
    numbers = f"{dtype} ±{LARGEST}"
    forward, back = (Ledger(name, "mask of the step", numbers, None, note="all compared") for name in _PASSES)
    for step, (images, before) in enumerate(batches):
        x = draw(generator, LARGEST, images, *row.input_shape)
        x[x == 0] = 1
        bench.disturb(generator, before)
        y = bench.forward(x, step=step)
        kept = y != 0
        passed = np.where(kept, x.astype(dtype) * factor, dtype.type(0))
        forward.enter(difference("output", y, passed))
        delta = draw(generator, LARGEST, *x.shape)
        right = np.where(kept, delta.astype(dtype) * factor, dtype.type(0))
        back.enter(difference("grad_input", bench.backward(delta), right) or bench.stray)
    return [forward.close(row.path), back.close(row.path)]


_PASSES = ("forward", "to input")
