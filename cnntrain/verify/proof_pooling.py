"""Proof of pooling: means of whole numbers, first maxima, gradients routed to the winners."""

from __future__ import annotations

from collections.abc import Iterator
from math import lcm
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.layers import LayerRow
from cnntrain.verify.proof import Ledger, PassProof
from cnntrain.verify.whole_numbers import LARGEST, Whole, chance, difference, draw, whole
from cnntrain.verify.workbench import Workbench, leave

ABOUT_MASKS = "every window compared"
_MOST = {"float64": 2**40, "float32": 2**20}  # what sums over a window may reach


class Windows(NamedTuple):
    """The windows of a pooling along one axis.

    Attributes
    ----------
    size : int
        Of the image.
    taps, stride, padding : int
    windows : int
        How many there are.
    """

    size: int
    taps: int
    stride: int
    padding: int
    windows: int

    def inside(self, window: int) -> Iterator[tuple[int, int]]:
        """Yield (tap, place in the image) of the taps that lie inside it."""
        for tap in range(self.taps):
            place = window * self.stride - self.padding + tap
            if 0 <= place < self.size:
                yield tap, place

    def extent(self, window: int, count_padding: bool) -> int:
        """Return how many places count in the mean of a window."""
        if not count_padding:
            return len(list(self.inside(window)))
        begin = window * self.stride - self.padding
        return min(begin + self.taps, self.size + self.padding) - begin


def windows_of(row: LayerRow) -> tuple[Windows, Windows]:
    """Return the windows of a pooling layer along rows and columns, from its settings."""
    (_, *sizes), settings = row.input_shape, row.settings
    taps = getattr(settings, "kernel_size", sizes)  # a global average has none
    strides = getattr(settings, "stride", None) or taps
    padding = getattr(settings, "padding", (0, 0))
    rows, columns = (Windows(sizes[i], taps[i], strides[i], padding[i], row.output_shape[1 + i]) for i in (0, 1))
    return rows, columns


def first_maxima(x: NDArray[Any], rows: Windows, columns: Windows) -> tuple[NDArray[Any], Whole]:
    """Return the maximum of each window, and the number of the first tap that has it, row by row."""
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    maxima = np.full((*x.shape[:2], rows.windows, columns.windows), lowest, x.dtype)
    mask = np.zeros(maxima.shape, np.int64)
    for i in range(rows.windows):
        for j in range(columns.windows):
            for r, row in rows.inside(i):
                for s, column in columns.inside(j):
                    better = x[..., row, column] > maxima[..., i, j]
                    maxima[..., i, j][better] = x[..., row, column][better]
                    mask[..., i, j][better] = r * columns.taps + s
    return maxima, mask


def routed(delta: Whole, mask: Whole, shape: tuple[int, ...], rows: Windows, columns: Windows) -> Whole:
    """Return the gradient of max-pooling's input: each number of `delta` added where the mask points."""
    grad = np.zeros(shape, np.int64)
    i, j = np.arange(rows.windows)[:, None], np.arange(columns.windows)
    row = i * rows.stride - rows.padding + mask // columns.taps
    column = j * columns.stride - columns.padding + mask % columns.taps
    n, c = np.arange(shape[0])[:, None, None, None], np.arange(shape[1])[:, None, None]
    np.add.at(grad, (n, c, row, column), delta)
    return grad


def prove_max_pooling(row: LayerRow, batches: list[tuple[int, int]], dtype: np.dtype, seed: int) -> list[PassProof]:
    """Prove maxima, mask and routing; every other trial with numbers of which many are the same."""
    bench = Workbench(row, max(map(max, batches)), dtype)
    generator = np.random.default_rng([seed, *row.path.encode()])
    numbers = f"{dtype} ±{LARGEST}, ±2"
    mask_found = Ledger("mask", "first maximum", numbers, None, note=ABOUT_MASKS)
    back = Ledger("to input", "by the mask", f"{dtype} ±{LARGEST}", chance([LARGEST]))
    windows = windows_of(row)
    for number, (images, before) in enumerate(batches):
        for size in (LARGEST, 2) if number < 2 else (LARGEST,):
            x = draw(generator, size, images, *row.input_shape)
            bench.disturb(generator, before)
            y = whole(bench.forward(x), exact=True)
            maxima, mask = first_maxima(x, *windows)
            made = leave(bench.layer.mask, images, row.output_shape).astype(np.int64)  # type: ignore[attr-defined]
            fault = y.fault or difference("maximum", y.values, maxima) or difference("mask", made, mask)
            mask_found.enter(fault)
            delta = draw(generator, LARGEST, images, *row.output_shape)
            grad = whole(bench.backward(delta), exact=True)
            right = routed(delta, mask, x.shape, *windows)
            back.enter(grad.fault or bench.stray or difference("grad_input", grad.values, right))
    return [mask_found.close(row.path), back.close(row.path)]


def prove_average_pooling(row: LayerRow, batches: list[tuple[int, int]], dtype: np.dtype, seed: int) -> list[PassProof]:
    """Prove means of multiples of all windows' sizes, and what each pixel gets back of them."""
    bench = Workbench(row, max(map(max, batches)), dtype)
    generator = np.random.default_rng([seed, *row.path.encode()])
    rows, columns = windows_of(row)
    counted = bool(getattr(row.settings, "count_padding", True))
    high = [rows.extent(i, counted) for i in range(rows.windows)]
    wide = [columns.extent(j, counted) for j in range(columns.windows)]
    unit = lcm(*(a * b for a in set(high) for b in set(wide)))
    most = min(LARGEST, _MOST[dtype.name] // (unit * rows.taps * columns.taps))
    if most == 0:
        why = f"sums of multiples of {unit} are too large for {dtype}"
        return [PassProof(row.path, "all", "means", str(dtype), 0, "not tried", None, why)]
    numbers = f"{dtype} ±{most} x {unit}"
    forward = Ledger("forward", "means", numbers, chance([most]))
    back = Ledger("to input", "shares", numbers, chance([most]), exact=unit & (unit - 1) == 0)
    areas = np.array(high)[:, None] * np.array(wide)
    for images, before in batches:
        x, delta = (unit * draw(generator, most, images, *shape) for shape in (row.input_shape, row.output_shape))
        bench.disturb(generator, before)
        y = whole(bench.forward(x), exact=True)
        grad = whole(bench.backward(delta), back.exact)
        sums, right = np.zeros(y.values.shape, np.int64), np.zeros(x.shape, np.int64)
        for i in range(rows.windows):
            for j in range(columns.windows):
                for _, r in rows.inside(i):
                    for _, s in columns.inside(j):
                        sums[..., i, j] += x[..., r, s]
                        right[..., r, s] += delta[..., i, j] // areas[i, j]
        forward.enter(y.fault or difference("mean", y.values, sums // areas))
        back.enter(grad.fault or bench.stray or difference("grad_input", grad.values, right), grad.distance)
    return [forward.close(row.path), back.close(row.path)]
