"""The three passes of a convolution layer: forward, backward to the input, backward to the weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.convolution import Axis, Channels, correlate
from cnntrain.kernels.layout import gather
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.depthwise import DepthwiseCorrelation, DepthwiseWeightGradient
from cnntrain.passes.tiling import cut, length, packed_order, plain
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
class Window:
    """How a window slides along one axis (rows or columns) of an image."""

    input_size: int
    taps: int
    stride: int = 1
    before: int = 0  # zeros before the image
    after: int = 0  # and after it
    dilation: int = 1

    @property
    def output_size(self) -> int:
        """Number of positions of the window; zero or less when it does not fit."""
        return (self.input_size + self.before + self.after - (self.taps - 1) * self.dilation - 1) // self.stride + 1

    @property
    def visits(self) -> int:
        """Pairs of a position and a tap that lies inside the image there; taps on the padding are never visited."""
        reads = [
            i * self.stride - self.before + t * self.dilation for i in range(self.output_size) for t in range(self.taps)
        ]
        return sum(0 <= read < self.input_size for read in reads)

    def forward(self) -> Axis:
        """Return the axis of the forward pass: output i reads input i * stride - before + t * dilation."""
        size = self.output_size
        return Axis(self.input_size, size, 0, 1, size, self.stride, -self.before, self.taps, self.dilation)

    def backward(self) -> list[tuple[Axis, list[int]]]:
        """Return the phases of the full convolution, each with the taps it uses, in the order of its axis.

        Input i = phase + n * stride receives from output o through tap r when
        o * stride - before + r * dilation = i. In one phase, such r are equally spaced; going through them downwards
        (the rotation by 180°) o goes upwards.
        """
        phases = []
        spacing = self.stride // gcd(self.stride, self.dilation)
        for phase in range(min(self.stride, self.input_size)):
            taps = [r for r in range(self.taps) if (phase + self.before - r * self.dilation) % self.stride == 0][::-1]
            offset = (phase + self.before - taps[0] * self.dilation) // self.stride if taps else 0
            count = (self.input_size - phase + self.stride - 1) // self.stride
            dilation = spacing * self.dilation // self.stride
            axis = Axis(
                self.output_size, self.input_size, phase, self.stride, count, 1, offset, len(taps), dilation
            )  # fmt: skip
            phases.append((axis, taps))
        return phases


@dataclass(frozen=True)
class ConvolutionGeometry:
    """Everything that the arithmetic of a convolution layer depends on."""

    channels: int
    filters: int
    rows: Window
    columns: Window
    groups: int = 1
    rotated: bool = False  # true convolution: the filter is rotated by 180° before it is applied

    @property
    def depthwise(self) -> bool:
        """Each channel has one filter, of its own."""
        return 1 < self.groups == self.channels == self.filters

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """(filters, channels of a group, rows, columns)."""
        return self.filters, self.channels // self.groups, self.rows.taps, self.columns.taps

    @property
    def macs(self) -> int:
        """Multiply-adds per image of any one of the three passes, those on the padding not counted."""
        return self.rows.visits * self.columns.visits * self.filters * (self.channels // self.groups)

    def __str__(self) -> str:
        rows, columns = self.rows, self.columns
        text = f"{self.channels}→{self.filters} {rows.taps}x{columns.taps} on {rows.input_size}x{columns.input_size}"
        for value, name in ((rows.stride, "stride"), (rows.dilation, "dilation"), (self.groups, "groups")):
            text += f" {name} {value}" if value > 1 else ""
        return text

    def weight_indices(self) -> NDArray[np.intp]:
        """Return flat weight indices as (group, filter, channel, r, s), where tap (r, s) is that of correlation."""
        filters, channels, rows, columns = self.weight_shape
        indices = np.arange(np.prod(self.weight_shape), dtype=np.intp)
        indices = indices.reshape(self.groups, filters // self.groups, channels, rows, columns)
        return indices[..., ::-1, ::-1] if self.rotated else indices


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
