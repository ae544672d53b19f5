"""What a convolution or a pooling is, before anything is chosen or made: geometry, and the taps of its passes.

Needs no Numba: shapes and costs of layers come from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import gcd
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Axis
from cnntrain.machine import Machine, this_machine

Direction = Literal["forward", "to input", "to weights"]


class Phase(NamedTuple):
    """A correlation without gaps along one axis, and which of the filter's taps it uses, in the order of the axis."""

    axis: Axis
    taps: list[int]


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

    def backward(self) -> list[Phase]:
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
            phases.append(Phase(axis, taps))
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
class Problem:
    """One pass of a convolution, as the algorithms for it are asked.

    Attributes
    ----------
    geometry : ConvolutionGeometry
    direction : str
        "forward", "to input" or "to weights".
    blocks : int
        Blocks of 16 images in the largest batch.
    dtype : float32 or float64
    machine : Machine
        What work is cut for; this one, unless a test asks for another's choices.
    direct : bool
        Products of weights and pixels only: an output depends on no pixel outside its window, not even by rounding.
    """

    geometry: ConvolutionGeometry
    direction: Direction
    blocks: int
    dtype: np.dtype
    machine: Machine = field(default_factory=this_machine)
    direct: bool = False

    @cached_property
    def rows(self) -> list[Phase]:
        """The correlations along the rows: one, or backward to the input one for each phase of the stride."""
        return self._phases(self.geometry.rows)

    @cached_property
    def columns(self) -> list[Phase]:
        """The same along the columns."""
        return self._phases(self.geometry.columns)

    def _phases(self, window: Window) -> list[Phase]:
        if self.direction == "to input":
            return window.backward()
        return [Phase(window.forward(), list(range(window.taps)))]

    @cached_property
    def forward_axes(self) -> tuple[Axis, Axis]:
        """Rows and columns of the forward pass, whatever the direction."""
        return self.geometry.rows.forward(), self.geometry.columns.forward()

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Flat index of each weight in canonical order, as (group, output, input, r, s).

        Outputs are the filters and inputs the channels of a group; backward to the input it is the other way round.
        """
        indices = self.geometry.weight_indices()
        return indices.swapaxes(1, 2) if self.direction == "to input" else indices

    @property
    def groups(self) -> int:
        """Groups of channels that do not see each other."""
        return self.geometry.groups

    @property
    def outputs(self) -> int:
        """Channels that a group writes, or filters whose gradients it adds up."""
        return self.order.shape[1]

    @property
    def inputs(self) -> int:
        """Channels that a group reads."""
        return self.order.shape[2]

    @property
    def macs(self) -> int:
        """Multiply-adds per image, those on the padding not counted."""
        return self.geometry.macs


def pooling_axis(input_size: int, taps: int, stride: int, padding: int, ceil_mode: bool) -> Axis:
    """Return the axis of a pooling window.

    With `ceil_mode` the last window may begin inside and end outside; one that begins beyond the image and its left
    padding is dropped (the rule of Caffe and PyTorch).
    """
    slack = stride - 1 if ceil_mode else 0
    count = (input_size + 2 * padding - taps + slack) // stride + 1
    if ceil_mode and (count - 1) * stride >= input_size + padding:
        count -= 1
    return Axis(input_size, count, 0, 1, count, stride, -padding, taps, 1)
