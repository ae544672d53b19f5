"""Proof of what is linear in image, weights and bias: convolutions, alone or with their max-pooling, and dense layers.

The forward pass F is compared with integers by Freivalds' trick: random combinations of the images and of the filters,
u and v, turn the whole batch and all filters into one image and one filter, whose convolution is quickly done by hand:
sum_n,k u_n v_k y_n,k = F(sum_n u_n x_n, sum_k v_k w_k). Every output takes part. The passes back are proven by
<F(x, w), delta> = <grad_input, x> = <grad_weight, w>: docs/prove.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.layers import LayerRow
from cnntrain.layers.conv2d import Conv2d
from cnntrain.layers.dense import Dense
from cnntrain.layers.pooled_convolution import PooledConvolution, slices
from cnntrain.passes.problem import ConvolutionGeometry
from cnntrain.shape import LANES, Shape
from cnntrain.verify.integer_convolution import Drawn, geometry_of, mixed_fault, sampled_fault
from cnntrain.verify.proof import Ledger, PassProof
from cnntrain.verify.proof_pooling import ABOUT_MASKS, first_maxima, routed, windows_of
from cnntrain.verify.whole_numbers import Sizes, Whole, chance, difference, draw, inner, sizes_for, whole
from cnntrain.verify.workbench import Workbench, enter, leave

MIX = 2**15  # the largest factor of an image or a filter in a combination
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

    def begin(self) -> str:
        """Choose numbers and open a ledger for each pass; say why that cannot be, if it cannot."""
        g, bench = self.geometry, self.bench
        taps = g.rows.taps * g.columns.taps
        readers = min(g.rows.taps, self.shape.rows) * min(g.columns.taps, self.shape.columns)  # outputs of a pixel
        terms = g.channels // g.groups * taps, g.filters // g.groups * readers, bench.batch_size * self.pixels
        passes = ("forward", "to input", "to weights")
        self.sizes = sizes_for(bench.dtype, terms, [not self.exact[name] for name in passes])
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
        self.ledgers["forward"].enter(fault, y.distance)
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
        self.ledgers["mask"].enter(difference("maximum", output, maxima) or difference("mask", made, mask))
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
        self.ledgers["to input"].enter(fault, back.distance)
        if kept is not None:
            if self.pooling is not None:
                self.install(other.weight, drawn.bias)
                seen = whole(self.plain(drawn.x), False).values
            fault = kept.fault
            flat = kept.values.reshape(other.weight.shape)
            fault = fault or _compared("grad_weight, w", inner(seen - less, spread), inner(flat, other.weight))
            self.ledgers["to weights"].enter(fault, kept.distance)
        if biases is not None:
            fault = biases.fault or difference("grad_bias", biases.values, spread.sum(axis=(0, 2, 3)))
            self.ledgers["bias"].enter(fault, biases.distance)

    def ties(self, images: int) -> None:
        """Pool outputs of which many are the same: the first is the one that wins."""
        drawn = self.draw(images, size=1)
        self.install(drawn.weight, drawn.bias)
        y, output = self.plain(drawn.x), self.bench.forward(drawn.x)
        self._pooled(y, output, np.zeros(output.shape, np.int64))


def _compared(what: str, right: int, found: int) -> str:
    return "" if found == right else f"<{what}> is {found}, <y, delta> is {right}"


def prove_linear(
    row: LayerRow, batches: list[tuple[int, int]], dtype: np.dtype, direct: bool, seed: int
) -> list[PassProof]:
    """Prove a convolution, a convolution with its max-pooling, or a dense layer.

    Parameters
    ----------
    row : LayerRow
        As it runs.
    batches : list of (int, int)
        For each trial how many images, and how many in the batch before.
    dtype : float32 or float64
    direct : bool
        As `Network` takes it.
    seed : int
        Of all numbers.
    """
    bench = Workbench(row, max(map(max, batches)), dtype, direct)
    proof = _proof_of(bench, np.random.default_rng([seed, *row.path.encode()]))
    refusal = proof.begin()
    if refusal:
        return [PassProof(row.path, "all", "", str(dtype), 0, "not tried", None, refusal)]
    for number, (images, before) in enumerate(batches):
        proof.trial(images, before)
        if proof.pooling is not None and number < 2:
            proof.ties(images)
    paths = [row.path if not row.stands_for else row.stands_for[name == "mask"].path for name in proof.ledgers]
    return [ledger.close(path) for ledger, path in zip(proof.ledgers.values(), paths, strict=True)]


def _proof_of(bench: Workbench, generator: np.random.Generator) -> LinearProof:
    row, layer = bench.row, bench.layer
    if isinstance(layer, PooledConvolution):
        convolution, pooling = row.stands_for
        passes = layer.convolution.passes
        names = _algorithms(passes)
        together = f" with {pooling.path}"
        shown = dict(names)
        if layer.together.goes_forward:
            shown["forward"] = names["forward"] + together
        if layer.together.goes_backward:
            shown["to weights"] = shown["bias"] = names["to weights"] + together
        shown["mask"] = shown["forward"]
        return LinearProof(
            bench, geometry_of(convolution), convolution.output_shape, _without_pooling(bench, layer, convolution),
            shown, _exactness(names), generator, pooling,
        )  # fmt: skip
    if isinstance(layer, Conv2d):
        names = _algorithms(layer.passes)
    else:
        names = {found.name: str(found.algorithm) for found in Dense.explain(row, None)}  # type: ignore[arg-type]
    return LinearProof(bench, geometry_of(row), row.output_shape, bench.forward, names, _exactness(names), generator)


def _algorithms(passes: Any) -> dict[str, str]:
    names = {str(direction): chosen.algorithm.name for direction, chosen in passes.choices.by_direction()}
    names["bias"] = names["to weights"] if passes.adds_biases else "sums"
    return names


def _exactness(names: dict[str, str]) -> dict[str, bool]:
    exact = {name: not algorithm.startswith("winograd") for name, algorithm in names.items()}
    return exact | {"bias": True}


def _without_pooling(
    bench: Workbench, layer: PooledConvolution, row: LayerRow
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return the convolution's own forward pass, slice by slice, on the parameters of the moment."""
    block, middle = row.input_shape.size * LANES, row.output_shape.size * LANES
    convolution = layer.convolution
    lanes = np.empty(bench._x.size, bench.dtype)

    def run(x: NDArray[Any]) -> NDArray[Any]:
        enter(x, lanes, fill=0.0)
        blocks = -(-len(x) // LANES)
        z = np.empty(blocks * middle, bench.dtype)
        weight, bias = convolution.weight.value.reshape(-1), convolution.bias_values
        for first, count in slices(blocks, layer.slice_blocks):
            convolution.passes.forward(lanes[first * block :], weight, bias, convolution.output, count)
            z[first * middle :][: count * middle] = convolution.output[: count * middle]
        return leave(z, len(x), row.output_shape)

    return run
