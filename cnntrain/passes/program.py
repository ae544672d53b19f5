"""Few images through a network: a program that one kernel runs, with lanes along channels instead of images."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels import instructions as words
from cnntrain.kernels.few_images import run_program, to_pixels
from cnntrain.kernels.geometry import length
from cnntrain.memory import line_aligned
from cnntrain.passes.arena import Listed, Place, Value
from cnntrain.passes.program_writer import Writer
from cnntrain.shape import LANES

Array = NDArray[Any]
MOST_TOGETHER = 8  # images that pass through the layers together: as many as a tile has positions
WORTH_SHARING = 1 << 22  # multiply-adds of all images: about a tenth of a millisecond
ARENA_BYTES = 1 << 22  # of their activations, where that is more than one image's


class Program:
    """A program with its arrays; computes a network's outputs for any number of images.

    Parameters
    ----------
    writer : Writer
        That has taken all instructions.
    source, target : Value
        The images, normalised, and the outputs.
    """

    def __init__(self, writer: Writer, source: Value, target: Value) -> None:
        self.dtype, self._packing, self._macs = writer.dtype, writer.packing, writer.macs
        image_bytes = max(writer.room.size * self.dtype.itemsize, 1)
        self.together = together = min(max(ARENA_BYTES // image_bytes, 1), MOST_TOGETHER)
        # a line further for each unit, so that no two write the same one
        self._arena_size = -(-(writer.front + writer.room.size * together) // LANES) * LANES + LANES
        self._arena = line_aligned(self._arena_size, self.dtype)
        self._weights = line_aligned(writer.weights + LANES, self.dtype)
        lists = [_offsets(offsets, image, together) for offsets, image in writer.listed]
        self._places = np.concatenate([*lists, np.zeros(1, np.int64)]).astype(np.int32)
        self._table = _table(writer, together, np.cumsum([0, *map(len, lists)]))
        self._job = (
            together, self._arena_size, len(writer.instructions),
            source.shape.size, writer.front + source.at * together,
            target.shape.size, writer.front + target.at * together,
        )  # fmt: skip
        machine = writer.machine
        self._sizes = tuple(map(length, (8 if machine.registers > 16 else 6, 4, 2, 1, writer.lanes)))
        self._pixel_size, self._output_size = source.shape.size, target.shape.size
        self._pixels = line_aligned(self._pixel_size, self.dtype)

    def pack(self) -> None:
        """Take over the network's state."""
        for place, write in self._packing:
            write(self._weights[place])

    def __call__(self, images: Array, scale: Array, shift: Array) -> Array:
        """Return the outputs of images, (images, numbers of an output).

        Parameters
        ----------
        images : ndarray, uint8, float32 or float64, (N, channels, rows, columns), C-contiguous
        scale, shift : ndarray
            One value per channel; shift may be an image. The network gets image * scale + shift.
        """
        count = len(images)
        threads = numba.get_num_threads() if numba.config.NUMBA_NUM_THREADS > 1 else 1  # type: ignore[attr-defined]
        units = min(count, threads) if count * self._macs >= WORTH_SHARING else 1
        if units * self._arena_size > self._arena.size:
            self._arena = line_aligned(units * self._arena_size, self.dtype)
        if count * self._pixel_size > self._pixels.size:
            self._pixels = line_aligned(count * self._pixel_size, self.dtype)
        if units == 1 < threads:  # others would be waited for
            numba.set_num_threads(1)
            try:
                return self._run(images, scale, shift, 1)
            finally:
                numba.set_num_threads(threads)
        return self._run(images, scale, shift, units)

    def _run(self, images: Array, scale: Array, shift: Array, units: int) -> Array:
        count, channels, rows, columns = images.shape
        outputs: Array = np.empty((count, self._output_size), self.dtype)
        to_pixels(images.reshape(-1), scale, shift.reshape(-1), self._pixels, count, (channels, rows * columns))
        run_program(
            self._pixels, self._arena, self._weights, self._places, self._table, outputs.reshape(-1),
            (count, units, *self._job), self._sizes,
        )  # fmt: skip
        return outputs


def _offsets(offsets: NDArray[np.int64], image: int, together: int) -> NDArray[np.int64]:
    return (np.arange(together if image else 1)[:, None] * image + offsets).ravel()


def _table(writer: Writer, together: int, begins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Write the instructions as numbers, and the axes that they name behind them."""
    behind = len(writer.instructions) * words.WIDTH
    table = np.zeros(behind + len(writer.axes), np.int64)

    def number_of(what: int | Place | Listed) -> int:
        if isinstance(what, Place):
            return writer.front + what.value.at * together + what.channel
        return int(begins[what.number]) if isinstance(what, Listed) else what

    for index, (kind, *numbers) in enumerate(writer.instructions):
        found = list(map(number_of, numbers))
        if kind in (words.MAX_POOL, words.AVERAGE_POOL):
            found[2] += behind
        table[index * words.WIDTH :][: 1 + len(found)] = [number_of(kind), *found]
    table[behind:] = writer.axes
    return table
