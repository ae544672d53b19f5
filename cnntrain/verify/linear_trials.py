"""The trials of a linear layer: numbers, ledgers, and what is compared with what."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.layers import LayerRow
from cnntrain.layers.pooled_convolution import PooledConvolution
from cnntrain.passes.problem import ConvolutionGeometry
from cnntrain.shape import Shape
from cnntrain.verify.integer_convolution import Drawn, mixed_fault, sampled_fault
from cnntrain.verify.proof import Ledger
from cnntrain.verify.proof_pooling import ABOUT_MASKS, first_maxima, routed, windows_of
from cnntrain.verify.whole_numbers import Sizes, Whole, chance, difference, draw, inner, sizes_for, whole
from cnntrain.verify.workbench import Workbench, leave

MIX = 2**15  # the largest factor of an image or a filter in a combination
PASSES = ("forward", "to input", "to weights", "bias", "mask")
_ROOM = 2**62  # what sums of int64 may reach


@dataclass
class LinearProof:
    """The trials of one layer in one type.

    Attributes
    ----------
    bench : Workbench
    geometry : ConvolutionGeometry
    shape : Shape
        Of the convolution's output.
    plain : callable
        The forward pass without pooling, of images, on the parameters of the moment.
    algorithms : dict
        Names of algorithms by pass.
    exact : dict
        Whether a pass gives whole numbers; otherwise rounding decides.
    """

    bench: Workbench
    geometry: ConvolutionGeometry
    shape: Shape
    plain: Callable[[NDArray[Any]], NDArray[Any]]
    algorithms: dict[str, str]
    exact: dict[str, bool]
    generator: np.random.Generator
    pooling: LayerRow | None = None
    sizes: Sizes | None = None
    ledgers: dict[str, Ledger] = field(default_factory=dict)

    @property
    def pixels(self) -> int:
        """Outputs of a filter."""
        return self.shape.rows * self.shape.columns

    def begin(self, names: Collection[str] = PASSES) -> str:
        """Choose numbers for some passes, and open their ledgers; say why that cannot be, if it cannot."""
        g, bench = self.geometry, self.bench
        taps = g.rows.taps * g.columns.taps
        readers = min(g.rows.taps, self.shape.rows) * min(g.columns.taps, self.shape.columns)  # outputs of a pixel
        products = {
            "forward": g.channels // g.groups * taps,  # the other passes start from it
            "to input": g.filters // g.groups * readers if "to input" in names else 1,
            "to weights": bench.batch_size * self.pixels if "to weights" in names else 1,
        }
        terms = list(products.values())
        self.sizes = sizes_for(bench.dtype, terms, [not self.exact[name] for name in products])
        if self.sizes is None:
            return f"{max(terms):,} products and more in a sum: no whole numbers are small enough for {bench.dtype}"
        x, w, delta = self.sizes
        self._most = terms[0] * x * w + x
        self._mix = min(MIX, isqrt(_ROOM // (self._most * bench.batch_size * g.filters)))
        if self._mix == 0:
            return "sums of all outputs would not fit 64 bits"
        chances: dict[str, float | None] = {
            "forward": chance([x, w, self._mix, self._mix]),
            "to input": chance([x, w, delta]),
            "to weights": chance([x, w, delta]),
            "bias": chance([delta]),
        }
        if self.pooling is not None:  # the deltas' places depend on x: other numbers take its place, docs/prove.md
            chances |= {"mask": None, "to input": chance([x, delta]), "to weights": chance([w, delta])}
        if not bench.learns("weight"):
            del chances["to weights"]
        if not bench.learns("bias"):
            del chances["bias"]
        numbers = f"{bench.dtype} {self.sizes}"
        for name, bound in chances.items():
            if name not in names:
                continue
            algorithm = self.algorithms.get(name, self.algorithms["to weights"])
            note = ABOUT_MASKS if name == "mask" else ""
            self.ledgers[name] = Ledger(name, algorithm, numbers, bound, self.exact.get(name, True), note)
        return ""

    def draw(self, images: int, size: int | None = None) -> Drawn:
        """Draw images, weights and biases."""
        assert self.sizes is not None  # begin
        g, generator = self.geometry, self.generator
        x, w = (self.sizes.x, self.sizes.weight) if size is None else (size, size)
        bias = draw(generator, x, g.filters)
        if "bias" not in self.bench.parameters:
            bias[:] = 0
        shape = images, *self.bench.row.input_shape
        return Drawn(draw(generator, x, *shape), draw(generator, w, *g.weight_shape), bias)

    def install(self, weight: Whole, bias: Whole) -> None:
        """Give the layer its weights and biases."""
        self.bench.set("weight", weight)
        if "bias" in self.bench.parameters:
            self.bench.set("bias", bias)

    def trial(self, images: int, before: int) -> None:
        """Prove all passes on `images` images, after a batch of `before` others."""
        assert self.sizes is not None  # begin
        drawn = self.draw(images)
        self.install(drawn.weight, drawn.bias)
        shown = None if self.pooling is None else self.plain(drawn.x)
        self.bench.disturb(self.generator, before)
        output = self.bench.forward(drawn.x)
        y = whole(output if shown is None else shown, self.exact["forward"])
        fault = y.fault or self._forward_fault(y.values, drawn)
        self._enter("forward", fault, y.distance)
        delta = draw(self.generator, self.sizes.delta, images, *self.bench.row.output_shape)
        spread = delta  # the delta of the convolution's output
        if shown is not None:
            spread = self._pooled(shown, output, delta)
        grad_input = self.bench.backward(delta)
        self._backward(drawn, y.values, spread, grad_input)

    def _pooled(self, y: NDArray[Any], output: NDArray[Any], delta: Whole) -> Whole:
        """Compare maxima and mask with those of `y`, bit by bit; return the delta of `y`."""
        layer = self.bench.layer
        assert isinstance(layer, PooledConvolution) and self.pooling is not None  # noqa: PT018
        windows = windows_of(self.pooling)
        maxima, mask = first_maxima(y, *windows)
        made = leave(layer.pooling.mask, len(y), self.pooling.output_shape).astype(np.int64)
        self._enter("mask", difference("maximum", output, maxima) or difference("mask", made, mask))
        return routed(delta, mask, y.shape, *windows)

    def _forward_fault(self, y: Whole, drawn: Drawn) -> str:
        """Say where the outputs differ from integers; empty if nowhere."""
        if np.abs(y).max() > self._most:
            return f"an output of {np.abs(y).max():,}; the largest possible is {self._most:,}"
        return mixed_fault(y, drawn, self.geometry, self._mix, self.generator) or sampled_fault(
            y, drawn, self.geometry, self.generator
        )

    def _backward(self, drawn: Drawn, y: Whole, spread: Whole, grad_input: NDArray[Any]) -> None:
        """Compare what came back with <y, delta>; with a pooling, of images and weights drawn for that."""
        bench, (images, *_) = self.bench, y.shape
        back = whole(grad_input, self.exact["to input"])
        kept = whole(bench.gradient("weight"), self.exact["to weights"]) if "to weights" in self.ledgers else None
        biases = whole(bench.gradient("bias"), self.exact["bias"]) if "bias" in self.ledgers else None
        less = drawn.bias[:, None, None]
        other = drawn if self.pooling is None else self.draw(images)
        seen = y if self.pooling is None else whole(self.plain(other.x), False).values
        fault = back.fault or bench.stray
        fault = fault or _compared("grad_input, x", inner(seen - less, spread), inner(back.values, other.x))
        self._enter("to input", fault, back.distance)
        if kept is not None:
            if self.pooling is not None:
                self.install(other.weight, drawn.bias)
                seen = whole(self.plain(drawn.x), False).values
            fault = kept.fault
            flat = kept.values.reshape(other.weight.shape)
            fault = fault or _compared("grad_weight, w", inner(seen - less, spread), inner(flat, other.weight))
            self._enter("to weights", fault, kept.distance)
        if biases is not None:
            fault = biases.fault or difference("grad_bias", biases.values, spread.sum(axis=(0, 2, 3)))
            self._enter("bias", fault, biases.distance)

    def _enter(self, name: str, fault: str, distance: float = 0.0) -> None:
        if name in self.ledgers:
            self.ledgers[name].enter(fault, distance)

    def ties(self, images: int) -> None:
        """Pool outputs of which many are the same: the first is the one that wins."""
        drawn = self.draw(images, size=1)
        self.install(drawn.weight, drawn.bias)
        y, output = self.plain(drawn.x), self.bench.forward(drawn.x)
        self._pooled(y, output, np.zeros(output.shape, np.int64))


def _compared(what: str, right: int, found: int) -> str:
    return "" if found == right else f"<{what}> is {found}, <y, delta> is {right}"
