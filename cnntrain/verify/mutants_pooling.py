"""Mutants of pooling, and of where paths fork and meet."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnntrain.kernels.geometry import Axis
from cnntrain.layers.branches import Branches
from cnntrain.layers.dropout import Dropout
from cnntrain.layers.max_pool2d import MaxPool2d
from cnntrain.layers.residual import Residual
from cnntrain.passes.pooling import AveragePooling, MaxPooling
from cnntrain.shape import LANES
from cnntrain.verify.mutant import How, Mutant, after, before, instead, with_attribute


def axes_of(pooling: Any) -> tuple[int, Axis, Axis]:
    """Return channels, rows and columns of a pooling."""
    channels, (rows, columns), *_ = pooling._geometry
    return channels, Axis(*rows), Axis(*columns)


def mask_off_by_one(self: Any, _: None, image: Any, output: Any, mask: Any, blocks: int) -> None:
    """Point at the tap behind the winner."""
    rows, columns = axes_of(self)[1:]
    np.copyto(mask, (mask + 1) % (rows.taps * columns.taps))


def last_of_equals(self: Any, _: None, image: Any, output: Any, mask: Any, blocks: int) -> None:
    """Let the last of equal values win; for windows that lie inside the image."""
    channels, rows, columns = axes_of(self)
    x = image[: blocks * rows.input_size * columns.input_size * channels * LANES]
    x = x.reshape(blocks, rows.input_size, columns.input_size, channels, LANES)
    shape = blocks, rows.count, columns.count, channels, LANES
    best, winners = output[: np.prod(shape)].reshape(shape), mask[: np.prod(shape)].reshape(shape)
    for tap in range(rows.taps * columns.taps):
        r, s = divmod(tap, columns.taps)
        down = x[:, r :: rows.stride][:, : rows.count]
        winners[down[:, :, s :: columns.stride][:, :, : columns.count] == best] = tap


def zeros_win(self: Any, _: None, image: Any, output: Any, mask: Any, blocks: int) -> None:
    """Let the zeros of the padding take part, above the image."""
    channels, rows, columns = axes_of(self)
    lanes = output.reshape(-1, rows.count, columns.count * channels * LANES)[:blocks]
    np.maximum(lanes[:, 0], 0, out=lanes[:, 0])


def overlaps_overwritten() -> How:
    """Let each window write its gradient over that of the windows before, for windows inside the image."""

    def make(function: Any) -> Any:
        def spoilt(self: Any, grad_output: Any, mask: Any, grad_input: Any, blocks: int) -> None:
            channels, rows, columns = axes_of(self)
            shape = blocks, rows.input_size, columns.input_size, channels * LANES
            grad = grad_input[: np.prod(shape)].reshape(shape)
            grad[:] = 0
            windows = blocks, rows.count, columns.count, channels * LANES
            g = grad_output[: np.prod(windows)].reshape(windows)
            winners = mask[: np.prod(windows)].reshape(windows)
            b, lane = np.arange(blocks)[:, None], np.arange(channels * LANES)
            for i in range(rows.count):
                for j in range(columns.count):
                    r, s = divmod(winners[:, i, j], columns.taps)
                    grad[b, i * rows.stride + r, j * columns.stride + s, lane] = g[:, i, j]

        return spoilt

    return instead(MaxPooling, "backward", make)


def last_window_lost(self: Any, grad_output: Any, mask: Any, grad_input: Any, blocks: int) -> tuple[Any, ...]:
    """Leave out the last row of windows."""
    channels, rows, columns = axes_of(self)
    fewer = grad_output.copy()
    fewer.reshape(-1, rows.count, columns.count * channels * LANES)[:blocks, -1] = 0
    return fewer, mask, grad_input, blocks


def first_mask(self: Any, output: Any, x: Any, batch: Any) -> None:
    """Keep the mask of the first batch."""
    self.__dict__.setdefault("first", self.mask.copy())
    self.mask[...] = self.first


def scaled(pooling: Any, _: None, grad_output: Any, grad_input: Any, blocks: int) -> None:
    """Give each pixel of a window its whole gradient."""
    rows, columns = axes_of(pooling)[1:]
    grad_input *= rows.taps * columns.taps


def only_the_first(a: Any, b: Any, total: Any, size: int) -> None:
    """Take the first of two summands."""
    total[:size] = a[:size]


def body_alone(grad_output: Any, grad_body: Any, grad_image: Any, blocks: int, geometry: Any) -> None:
    """Forget the gradient of a zero-padded shortcut."""
    grad_image[: grad_body.size] = grad_body[: grad_image.size]


def without_the_last(right: Any) -> Any:
    """Add all arrays but the last."""
    return lambda arrays, total, size: right(arrays[:-1], total, size)


MUTANTS = [
    Mutant("mask off by one", "max", after(MaxPooling, "forward", mask_off_by_one)),
    Mutant("last of equal values wins", "max", after(MaxPooling, "forward", last_of_equals)),
    Mutant("mask of the first batch kept", "max", after(MaxPool2d, "forward", first_mask)),
    Mutant("overlapping windows overwritten", "max", overlaps_overwritten()),
    Mutant(
        "gradient to the first pixel of a window",
        "max",
        before(MaxPooling, "backward", lambda self, g, mask, *others: (g, np.zeros_like(mask), *others)),
    ),
    Mutant("last row of windows not routed", "max", before(MaxPooling, "backward", last_window_lost)),
    Mutant("zeros of the padding win", "padded max", after(MaxPooling, "forward", zeros_win)),
    Mutant("gradient of a mean not shared out", "average", after(AveragePooling, "backward", scaled)),
    Mutant(
        "padding not counted on the way back",
        "average",
        with_attribute(AveragePooling, "backward", "_geometry", lambda geometry: (*geometry[:-1], False)),
    ),
    Mutant(
        "padding not counted at all",
        "average",
        consistent=True,
        how=before(AveragePooling, "__init__", lambda self, *arguments: (*arguments[:-1], False)),
    ),
    Mutant(
        "gradient of a shortcut forgotten",
        "sum",
        with_attribute(Residual, "backward", "_add", lambda _: only_the_first),
    ),
    Mutant("shortcut not added", "sum", with_attribute(Residual, "forward", "_add", lambda _: only_the_first)),
    Mutant(
        "gradient of a zero-padded shortcut forgotten",
        "zero-padded sum",
        with_attribute(Residual, "backward", "_add_subsampled_backward", lambda _: body_alone),
    ),
    Mutant(
        "a stride in a zero-padded shortcut's way back off by one",
        "zero-padded sum",
        with_attribute(Residual, "backward", "_geometry", lambda g: (*g[:-1], g[-1] + 1)),
    ),
    Mutant(
        "branches joined in another order",
        "concatenation",
        with_attribute(Branches, "forward", "_joins", lambda joins: joins[::-1]),
    ),
    Mutant(
        "branches joined and cut in another order",
        "concatenation",
        consistent=True,
        how=after(
            Branches,
            "__init__",
            lambda self, *_: self.__dict__.update(_joins=self._joins[::-1], _cuts=self._cuts[::-1]),
        ),
    ),
    Mutant(
        "each branch gets the first one's gradient",
        "concatenation",
        with_attribute(Branches, "backward", "_cuts", lambda cuts: (cuts[0],) * len(cuts)),
    ),
    Mutant(
        "gradient of the last branch forgotten",
        "sum of three",
        with_attribute(Branches, "backward", "_add_all", without_the_last),
    ),
    Mutant("last branch not added", "sum of three", with_attribute(Branches, "forward", "_add_all", without_the_last)),
    Mutant(
        "gradient through the mask of another step",
        "dropout",
        linear=False,
        how=before(Dropout, "backward", lambda self, g, batch: (g, batch._replace(step=batch.step + 1))),
    ),
    Mutant(
        "gradient not scaled as what was kept",
        "dropout",
        linear=False,
        how=with_attribute(Dropout, "backward", "_factor", lambda factor: type(factor)(1)),
    ),
    Mutant(
        "what is kept not scaled",
        "dropout",
        linear=False,
        consistent=True,
        how=after(Dropout, "__init__", lambda self, *_: self.__dict__.update(_factor=type(self._factor)(1))),
    ),
]
