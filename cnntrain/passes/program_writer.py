"""Writing a program for few images: where activations lie, which numbers are packed, and the instructions.

What an instruction is, and what it reads, is said in `kernels.few_windows` and `kernels.few_channels`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels import instructions as words
from cnntrain.kernels.geometry import Axis, Subsampling
from cnntrain.machine import Machine, this_machine
from cnntrain.passes.arena import Listed, Place, Room, Value
from cnntrain.passes.problem import ConvolutionGeometry, Window
from cnntrain.shape import LANES, Shape

Array = NDArray[Any]


class Writer:
    """Takes instructions one after the other; each returns the value that it makes, and has read its input.

    Parameters
    ----------
    dtype : float32 or float64
    machine : Machine
        What tiles are cut for.
    """

    def __init__(self, dtype: np.dtype, machine: Machine | None = None) -> None:
        self.dtype, self.machine = np.dtype(dtype), machine or this_machine()
        self.lanes = min(self.machine.register_lanes(dtype), LANES)
        self.instructions: list[list[int | Place | Listed]] = []
        self.listed: list[tuple[NDArray[np.int64], int]] = []  # offsets; how much further for each image, or 0
        self.axes: list[int] = []
        self.packing: list[tuple[slice, Callable[[Array], None]]] = []
        self.room, self.front, self.weights, self.macs = Room(), LANES, 0, 0

    # --- values ---

    def value(self, shape: Shape) -> Value:
        """Make room for activations; a vector may be written over their end."""
        return Value(self.room.take(shape.size + LANES), shape)

    def keep(self, value: Value) -> None:
        """Say that one more will read a value."""
        value.readers += 1

    def done(self, value: Value) -> None:
        """Say that one has read it."""
        value.readers -= 1
        if value.readers == 0:
            self.room.give(value.at, value.shape.size + LANES)

    def over(self, x: Value) -> Value:
        """Return where a function of each number by itself writes: over its input, if nobody else reads that."""
        return x if x.readers == 1 else self.value(x.shape)

    def _add(self, kind: int, *numbers: int | Place | Listed) -> None:
        self.instructions.append([kind, *numbers])

    def _read(self, x: Value, y: Value) -> Value:
        if x is not y:
            self.done(x)
        return y

    def _keep_numbers(self, size: int, write: Callable[[Array], None]) -> int:
        """Have room for numbers that follow from the network's state; `write` brings them there."""
        begin, self.weights = self.weights, self.weights + size
        self.packing.append((slice(begin, begin + size), write))
        return begin

    # --- layers ---

    def convolution(self, x: Value, geometry: ConvolutionGeometry, weight: Array, bias: Array | None) -> Value:
        """Compute z = b + sum w x over each window; the weight is canonical."""
        shape = Shape(geometry.filters, geometry.rows.output_size, geometry.columns.output_size)
        self.macs += geometry.macs
        x = self._bordered(x, geometry)
        channels, _, width = x.shape
        axes = geometry.rows, geometry.columns
        steps = [axis.stride * step * channels for axis, step in zip(axes, (width, 1), strict=True)]
        firsts = np.arange(shape.rows)[:, None] * steps[0] + np.arange(shape.columns) * steps[1]
        places, y = self._list(firsts, x.shape.size), self.value(shape)
        rows, columns = (axis.taps for axis in axes)
        row_step, column_step = axes[0].dilation * width * channels, axes[1].dilation * channels
        numbers = weight, bias, geometry
        if geometry.depthwise:
            weights, biases = self._depthwise_weights(*numbers)
            self._add(
                words.DEPTHWISE, Place(x), Place(y), places, weights, biases, firsts.size,
                rows, row_step, columns, column_step, channels,
            )  # fmt: skip
            return self._read(x, y)
        weights, biases = self._window_weights(*numbers)
        inputs = channels // geometry.groups
        one_run = geometry.groups == 1 and (axes[1].dilation == 1 or columns == 1)
        starts = np.arange(rows)[:, None] * row_step + np.arange(1 if one_run else columns) * column_step
        run = columns * inputs if one_run else inputs
        self._windows(x, y, places, weights, biases, firsts.size, starts, run, geometry)
        return self._read(x, y)

    def dense(self, x: Value, units: int, weight: Array, bias: Array | None) -> Value:
        """Compute y = W x + b; weight is (units, inputs), the inputs in the order (row, column, channel)."""
        size = x.shape.size
        self.macs += size * units
        geometry = ConvolutionGeometry(size, units, Window(1, 1), Window(1, 1))
        y, places = self.value(Shape(units, 1, 1)), self._list(np.zeros(1, np.int64), size)
        weights, biases = self._window_weights(weight.reshape(units, size, 1, 1), bias, geometry)
        self._windows(x, y, places, weights, biases, 1, np.zeros(1, np.int64), size, geometry)
        return self._read(x, y)

    def _windows(
        self, x: Value, y: Value, places: Listed, weights: int, biases: int, count: int,
        starts: NDArray[np.int64], run: int, geometry: ConvolutionGeometry,
    ) -> None:  # fmt: skip
        groups = geometry.groups
        outputs, inputs = geometry.filters // groups, geometry.channels // groups
        self._add(
            words.WINDOWS, Place(x), Place(y), places, weights, biases, count, self._list(starts),
            starts.size, run, outputs, groups, inputs,
        )  # fmt: skip

    def activation(self, x: Value, function: int, numbers: Sequence[float] = ()) -> Value:
        """Compute y = f(z); the functions are those of `kernels.channels_last`."""
        y = self.over(x)

        def write(room: Array) -> None:
            room[: len(numbers)] = numbers

        self._add(words.ACTIVATE, Place(x), Place(y), x.shape.size, function, self._keep_numbers(LANES, write))
        return self._read(x, y)

    def per_channel(self, x: Value, arrays: Callable[[], Sequence[Array]], *, slopes: bool) -> Value:
        """Compute (x - mean) factor + shift, or slope x where x <= 0; `arrays` returns each channel's numbers."""
        channels, rows, columns = x.shape
        step, y = channels + LANES, self.over(x)

        def write(room: Array) -> None:
            for index, array in enumerate(arrays()):
                room[index * step :][:channels] = array

        at = self._keep_numbers(step * (1 if slopes else 3), write)
        self._add(words.PER_CHANNEL, Place(x), Place(y), rows * columns, channels, at, step, int(slopes))
        return self._read(x, y)

    def max_pooling(self, x: Value, rows: Axis, columns: Axis) -> Value:
        """Take the maximum of each window."""
        y = self.value(Shape(x.shape.channels, rows.count, columns.count))
        self._add(words.MAX_POOL, Place(x), Place(y), self._axes(rows, columns), x.shape.channels)
        return self._read(x, y)

    def average_pooling(self, x: Value, rows: Axis, columns: Axis, count_padding: bool) -> Value:
        """Take the mean of each window."""
        y = self.value(Shape(x.shape.channels, rows.count, columns.count))
        axes = self._axes(rows, columns)
        self._add(words.AVERAGE_POOL, Place(x), Place(y), axes, x.shape.channels, int(count_padding))
        return self._read(x, y)

    def local_response(self, x: Value, reaches: tuple[int, int, int], numbers: Sequence[float]) -> Value:
        """Compute x (k + share sum of squares)**-beta: reaches of rows, columns, channels; share, beta and k."""
        y = self.value(x.shape)

        def write(room: Array) -> None:
            room[: len(numbers)] = numbers

        self.front = max(self.front, reaches[2] + LANES)
        channels, rows, columns = x.shape
        at = self._keep_numbers(LANES, write)
        self._add(words.LOCAL_RESPONSE, Place(x), Place(y), rows, columns, channels, *reaches, at)
        return self._read(x, y)

    def sum(self, a: Value, b: Value) -> Value:
        """Return a + b."""
        y = a if a.readers == 1 else b if b.readers == 1 else self.value(a.shape)
        self._add(words.ADD, Place(a), Place(y), a.shape.size, Place(b))
        for read in (a, b):
            self._read(read, y)
        return y

    def sum_with_subsampled(self, a: Value, image: Value, subsampling: Subsampling) -> Value:
        """Return a + (some pixels of an image, with channels of zeros behind its own)."""
        y = self.over(a)
        self._add(words.ADD_SUBSAMPLED, Place(a), Place(y), Place(image), *subsampling)
        self._read(a, y)
        return self._read(image, y)

    def joined(self, values: Sequence[Value]) -> Value:
        """Return the channels of all, one after the other."""
        _, rows, columns = values[0].shape
        total = sum(value.shape.channels for value in values)
        y, first = self.value(Shape(total, rows, columns)), 0
        for value in values:
            channels = value.shape.channels
            self._add(words.COPY_CHANNELS, Place(value), Place(y, first), rows * columns, channels, total)
            first += channels
            self.done(value)
        return y

    # --- parts of them ---

    def _bordered(self, x: Value, geometry: ConvolutionGeometry) -> Value:
        rows, columns = geometry.rows, geometry.columns
        borders = rows.before, rows.after, columns.before, columns.after
        if not any(borders):
            return x
        channels, high, wide = x.shape
        y = self.value(Shape(channels, high + borders[0] + borders[1], wide + borders[2] + borders[3]))
        self._add(words.BORDERED, Place(x), Place(y), high, wide, channels, *borders)
        return self._read(x, y)

    def _list(self, offsets: NDArray[np.int64], image: int = 0) -> Listed:
        """List offsets; with the numbers of an `image`, for all images that are computed together."""
        self.listed.append((offsets.ravel(), image))
        return Listed(len(self.listed) - 1)

    def _axes(self, rows: Axis, columns: Axis) -> int:
        begin = len(self.axes)
        self.axes += [*rows, *columns]
        return begin

    def _window_weights(self, weight: Array, bias: Array | None, geometry: ConvolutionGeometry) -> tuple[int, int]:
        """Pack as (group, vector, r, s, c, filter in vector), the biases as (group, vector, filter in vector)."""
        groups, lanes = geometry.groups, self.lanes
        filters, channels, rows, columns = geometry.weight_shape
        each = filters // groups
        vectors, taps = -(-each // lanes), rows * columns * channels

        def write_weight(room: Array) -> None:
            canonical = weight[..., ::-1, ::-1] if geometry.rotated else weight
            padded = np.zeros((groups, vectors * lanes, rows, columns, channels), self.dtype)
            padded[:, :each] = canonical.reshape(groups, each, channels, rows, columns).transpose(0, 1, 3, 4, 2)
            packed = padded.reshape(groups, vectors, lanes, taps).swapaxes(2, 3)
            room.reshape(groups, vectors, taps, lanes)[...] = packed

        def write_bias(room: Array) -> None:
            if bias is not None:
                room.reshape(groups, -1)[:, :each] = bias.reshape(groups, each)

        size = groups * vectors * lanes
        return self._keep_numbers(size * taps, write_weight), self._keep_numbers(size, write_bias)

    def _depthwise_weights(self, weight: Array, bias: Array | None, geometry: ConvolutionGeometry) -> tuple[int, int]:
        """Pack as (vector of channels, r, s, channel in vector)."""
        channels, _, rows, columns = geometry.weight_shape
        vectors = -(-channels // LANES)

        def write_weight(room: Array) -> None:
            canonical = weight[..., ::-1, ::-1] if geometry.rotated else weight
            padded = np.zeros((vectors * LANES, rows * columns), self.dtype)
            padded[:channels] = canonical.reshape(channels, -1)
            room.reshape(vectors, rows * columns, LANES)[...] = padded.reshape(vectors, LANES, -1).swapaxes(1, 2)

        def write_bias(room: Array) -> None:
            if bias is not None:
                room[:channels] = bias

        size = vectors * LANES
        return self._keep_numbers(size * rows * columns, write_weight), self._keep_numbers(size, write_bias)
