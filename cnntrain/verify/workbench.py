"""One layer as a training has it, between arrays in which whatever does not belong to the batch is NaN or absurd."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.layers import Batch, Layer, LayerContext, LayerRow
from cnntrain.layers.gradients import GradientBuffers
from cnntrain.machine import this_machine
from cnntrain.parameters import Parameter
from cnntrain.shape import LANES, Shape

ABSURD = 999.0  # in lanes without an image, which may hold anything finite

Array = NDArray[Any]


class Workbench:
    """A layer for batches of up to `batch_size` images, with the algorithms that a network would choose for it.

    Parameters
    ----------
    row : LayerRow
        As it runs: fused.
    batch_size : int
    dtype : float32 or float64
    direct : bool
        As `Network` takes it.
    overwrites : bool
        The layer before has no use for its output any more: this one may write over it.

    Attributes
    ----------
    layer : Layer
    parameters : dict
        By the tensor's name.
    stray : str
        What the last passes left where no image is; empty if nothing.
    """

    def __init__(
        self, row: LayerRow, batch_size: int, dtype: np.dtype, direct: bool = False, overwrites: bool = False
    ) -> None:
        self.row, self.batch_size, self.dtype = row, batch_size, dtype
        self._gradients = GradientBuffers(dtype)
        blocks = this_machine().capacity(batch_size, dtype)
        context = LayerContext(
            blocks=blocks, dtype=dtype, generator=lambda *_: np.random.default_rng(5), needs_grad_input=True, seed=1,
            gradients=self._gradients, overwrites=overwrites, direct=direct,
        ).of(row.path, row.parameter_shapes)  # fmt: skip
        self._delta_room = context.grad_input(row.output_shape)
        self.layer: Layer = row.layer(row, context)
        layers = [layer for _, layer in self.layer.walk(row.path)]
        self.parameters: dict[str, Parameter] = {
            parameter.name.rpartition(".")[2]: parameter for layer in layers for parameter in layer.parameters
        }
        self._x = context.buffer(row.input_shape)
        self._batch = Batch(1)
        self.stray = ""

    def forward(self, x: Array, *, training: bool = True, step: int = 0) -> Array:
        """Return the layer's outputs, (N, channels, rows, columns), in the layer's type."""
        self._batch = Batch(len(x), training, step)
        enter(x, self._x, fill=ABSURD)
        return leave(self.layer.forward(self._x, self._batch), len(x), self.row.output_shape)

    def backward(self, delta: Array) -> Array:
        """Return dL/d(input) for the images of the last `forward`; `delta` lies where a network would have it."""
        assert self._delta_room is not None  # gradients are asked for
        lanes = self._delta_room.beside(self._x)
        enter(delta, lanes, fill=0.0)
        passed = self.layer.backward(lanes, self._batch)
        assert passed is not None  # as above
        self.stray = _stray(passed, len(delta), self.row.input_shape)
        return leave(passed, len(delta), self.row.input_shape)

    def disturb(self, generator: np.random.Generator, images: int) -> None:
        """Train on another batch, then fill gradients and outputs with NaN: what is left over of it will show."""
        step = int(generator.integers(1, 1000))
        y = self.forward(generator.integers(-3, 4, (images, *self.row.input_shape)), step=step)
        self.backward(generator.integers(-3, 4, y.shape))
        assert self._delta_room is not None
        first = self._delta_room.beside(self._x)
        arrays = [first.base, self._delta_room.beside(first).base, self._gradients.handover.buffer]
        arrays += [layer.output for _, layer in self.layer.walk(self.row.path)]
        arrays += [parameter.gradient for parameter in self.parameters.values() if not parameter.frozen]
        for array in arrays:
            if array is not None and array is not self._x:
                array.fill(np.nan)

    def set(self, name: str, value: Array) -> None:
        """Give a parameter values in canonical order."""
        parameter = self.parameters[name]
        parameter.assign(parameter.value, value.astype(self.dtype).reshape(parameter.value.shape))

    def gradient(self, name: str) -> Array:
        """Return a copy of a parameter's gradient in canonical order."""
        parameter = self.parameters[name]
        return parameter.canonical(parameter.gradient)

    def learns(self, name: str) -> bool:
        """Tell whether the layer has a parameter of that name whose gradient is computed."""
        return name in self.parameters and not self.parameters[name].frozen

    def decisions(self) -> Array | None:
        """Return which smooth piece of the layer's function each image of the last `forward` used."""
        made = self.layer.decisions(self._batch.blocks)
        if made is None:
            return None
        by_lane = made.reshape(self._batch.blocks, -1, LANES).transpose(0, 2, 1)
        return by_lane.reshape(self._batch.blocks * LANES, -1)[: self._batch.images].copy()


def enter(array: Array, lanes: Array, fill: float) -> None:
    """Write (n, c, rows, columns) in the layout (block, row, column, channel, lane), `fill` in lanes without an image.

    Blocks behind those in use become NaN: nobody may read them.
    """
    n, *shape = array.shape
    blocks = -(-n // LANES)
    padded = np.full((blocks * LANES, *shape), fill, lanes.dtype)
    padded[:n] = array
    used = blocks * math.prod(shape) * LANES
    lanes[:used] = padded.reshape(blocks, LANES, *shape).transpose(0, 3, 4, 2, 1).reshape(-1)
    lanes[used:] = np.nan


def leave(lanes: Array, images: int, shape: Shape) -> Array:
    """Return a copy of what lanes hold as (images, channels, rows, columns)."""
    channels, rows, columns = shape
    blocks = -(-images // LANES)
    used = lanes[: blocks * shape.size * LANES].reshape(blocks, rows, columns, channels, LANES)
    return used.transpose(0, 4, 3, 1, 2).reshape(blocks * LANES, *shape)[:images].copy()


def _stray(lanes: Array, images: int, shape: Shape) -> str:
    """Say what lies in lanes without an image; empty if zeros."""
    blocks, rest = -(-images // LANES), images % LANES
    last = lanes[: blocks * shape.size * LANES].reshape(blocks, -1, LANES)[-1]
    if not rest or not last[:, rest:].any():
        return ""
    return f"a gradient in lane {rest} or behind, where the last block has no image"
