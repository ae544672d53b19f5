"""The three passes of a convolution layer: forward, backward to the input, backward to the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.convolution import correlate
from cnntrain.kernels.geometry import Axis, Channels, length, plain
from cnntrain.kernels.layout import gather
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.depthwise import DepthwiseCorrelation, DepthwiseWeightGradient
from cnntrain.passes.problem import ConvolutionGeometry
from cnntrain.passes.tiling import cut, packed_order
from cnntrain.passes.weight_gradient import (
    BiasGradient,
    DirectWeightGradient,
    LaneWeightGradient,
    PositionWeightGradient,
    suits_lanes,
)
from cnntrain.passes.winograd import (
    WinogradCorrelation,
    WinogradInputGradient,
    WinogradRowCorrelation,
    WinogradWeightGradient,
    row_by_row,
    saves,
    saves_input,
    saves_weights,
)

SHORT = 16  # lane vectors of a run (s, c): for shorter ones, loops of known length


@dataclass(frozen=True)
class Phase:
    """A correlation without gaps: its axes, channels and tiles as plain tuples."""

    geometry: tuple[tuple[int, ...], ...]
    at: int  # where its packed weights begin


class Correlation:
    """One direction (forward, or backward to the input): phases, tiles and packed weights.

    Attributes
    ----------
    phases : list of Phase
    pair, tall, short, run : tuple
        Sizes of register tiles, and the length of short runs, as the kernel takes them.
    dtype : float32 or float64
    """

    def __init__(
        self,
        row_phases: list[tuple[Axis, list[int]]],
        column_phases: list[tuple[Axis, list[int]]],
        indices: NDArray[np.intp],
        blocks: int,
        dtype: np.dtype,
    ) -> None:
        groups, outputs, inputs = indices.shape[:3]
        self.dtype = dtype
        channels = Channels(groups, inputs, outputs)
        tiles, self.tall, self.short = cut(outputs, this_machine().tile_height)
        self.pair = length(this_machine().side_by_side(blocks, dtype))
        [(first, taps), *others] = column_phases
        run = len(taps) * inputs if first.dilation == 1 and groups == 1 and not others else 0
        self.run = length(run) if run < SHORT else ()
        self.phases: list[Phase] = []
        order = [np.empty(0, np.intp)]
        for rows, row_taps in row_phases:
            for columns, column_taps in column_phases:
                at = sum(part.size for part in order)
                self.phases.append(Phase(plain(rows, columns, channels, tiles), at))
                order += [
                    packed_order(group[..., row_taps, :][..., column_taps], tiles, len(self.tall)) for group in indices
                ]
        self._order = np.concatenate(order)
        self._packed = line_aligned(self._order.size, dtype)

    def pack(self, weight: NDArray) -> NDArray:
        """Return the weights, flat and canonical, in the order in which the kernel reads them."""
        gather(weight, self._order, self._packed)
        return self._packed

    def __call__(self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, blocks: int) -> None:
        """Write `output` from `image`; `weight` is flat and canonical, `bias` has one number per output channel."""
        packed = self.pack(weight)
        for phase in self.phases:
            correlate(
                image, packed, phase.at, bias, output, blocks, phase.geometry, self.pair, self.tall, self.short,
                self.run,
            )  # fmt: skip


AnyCorrelation = Correlation | DepthwiseCorrelation | WinogradCorrelation | WinogradRowCorrelation


def _correlation(
    geometry: ConvolutionGeometry,
    row_phases: list[tuple[Axis, list[int]]],
    column_phases: list[tuple[Axis, list[int]]],
    indices: NDArray[np.intp],
    blocks: int,
    dtype: np.dtype,
) -> AnyCorrelation:
    """Choose how a direction is computed."""
    kind: type[AnyCorrelation] = Correlation
    if geometry.depthwise:
        kind = DepthwiseCorrelation
    elif saves(row_phases, column_phases, indices):
        kind = WinogradRowCorrelation if row_by_row() else WinogradCorrelation
    return kind(row_phases, column_phases, indices, blocks, dtype)


def _input_gradient(
    geometry: ConvolutionGeometry, rows: Axis, columns: Axis, indices: NDArray[np.intp], blocks: int, dtype: np.dtype
) -> AnyCorrelation | WinogradInputGradient:
    """Choose how the gradient of the input is computed."""
    if not geometry.depthwise and saves_input(rows, columns, indices):
        return WinogradInputGradient(rows, columns, indices, blocks, dtype)
    return _correlation(geometry, geometry.rows.backward(), geometry.columns.backward(), indices, blocks, dtype)


AnyWeightGradient = DepthwiseWeightGradient | WinogradWeightGradient | LaneWeightGradient | PositionWeightGradient


def _weight_gradient(
    geometry: ConvolutionGeometry, rows: Axis, columns: Axis, indices: NDArray[np.intp], blocks: int, dtype: np.dtype
) -> AnyWeightGradient:
    """Choose how the gradient of the weights is computed."""
    kind: type[AnyWeightGradient] = PositionWeightGradient
    if geometry.depthwise:
        kind = DepthwiseWeightGradient
    elif saves_weights(rows, columns, indices):
        kind = WinogradWeightGradient
    elif suits_lanes(rows, columns, indices):
        kind = LaneWeightGradient
    return kind(rows, columns, indices, blocks, dtype)


class Convolution:
    """All passes of one convolution layer, for batches of up to `blocks` blocks.

    Parameters
    ----------
    geometry : ConvolutionGeometry
    blocks : int
        Blocks of 16 images that images and outputs hold: a `capacity`.
    dtype : float32 or float64

    Attributes
    ----------
    forward, weights
        How the forward pass and the gradient of the weights are computed.
    """

    def __init__(self, geometry: ConvolutionGeometry, blocks: int, dtype: np.dtype) -> None:
        self.geometry = g = geometry
        self.blocks, self.dtype = blocks, dtype
        indices = g.weight_indices()
        rows, columns = g.rows.forward(), g.columns.forward()
        all_rows, all_columns = list(range(g.rows.taps)), list(range(g.columns.taps))
        self.forward = _correlation(g, [(rows, all_rows)], [(columns, all_columns)], indices, blocks, dtype)
        self._full = _input_gradient(g, rows, columns, indices.swapaxes(1, 2), blocks, dtype)
        self._zeros = np.zeros(g.channels, dtype)
        self.weights = _weight_gradient(g, rows, columns, indices, blocks, dtype)
        self._biases = BiasGradient(g.filters, dtype)
        self._pixels = rows.count * columns.count

    @property
    def macs(self) -> int:
        """Multiply-adds per image of any one pass."""
        return self.geometry.macs

    @property
    def adds_biases(self) -> bool:
        """The gradient of the biases comes along with that of the weights, and costs next to nothing."""
        return isinstance(self.weights, DirectWeightGradient) and self.weights.adds_biases

    def __str__(self) -> str:
        return str(self.geometry)

    def backward_input(self, delta: NDArray, weight: NDArray, grad_input: NDArray, blocks: int) -> None:
        """Write the full convolution of `delta` with the filters rotated by 180°, summed over the filters."""
        self._full(delta, weight, self._zeros, grad_input, blocks)

    def backward_weight(
        self,
        image: NDArray,
        delta: NDArray,
        grad_weight: NDArray,
        grad_bias: NDArray | None,
        blocks: int,
        *,
        begins: bool = True,
        ends: bool = True,
    ) -> None:
        """Write the valid correlation of `image` and `delta`, and the sum of `delta` per filter.

        A batch may come in parts: the first `begins` the sums of the correlation, the last `ends` them, and only then
        is `grad_weight` written. So is the bias's gradient, if `adds_biases`; else it is that of the part alone.
        """
        if grad_bias is not None and isinstance(self.weights, DirectWeightGradient) and self.adds_biases:
            self.weights.add(image, delta, blocks, fresh=begins, with_biases=True)
            if ends:
                self.weights.write(grad_weight, grad_bias)
            return
        self.weights.add(image, delta, blocks, fresh=begins)
        if ends:
            self.weights.write(grad_weight)
        if grad_bias is not None:
            self.backward_bias(delta, grad_bias, blocks * self._pixels)

    def backward_bias(self, delta: NDArray, grad_bias: NDArray, pixels: int) -> None:
        """Write the sum per filter of `pixels` pixels, those of all blocks counted."""
        self._biases(delta, grad_bias, pixels)
