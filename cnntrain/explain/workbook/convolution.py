"""The sheet of `conv2d`.

A window is a range, so that a sum reads SUMPRODUCT(filter, window). For that, a filter with a dilation and a delta
behind a stride are pulled apart by zeros first, in a block of their own: then every sum is one over neighbours.
"""

from __future__ import annotations

from typing import NamedTuple

from cnntrain.explain.trace import LayerTrace
from cnntrain.explain.workbook.arrays import Learned, Maps, learned, maps
from cnntrain.explain.workbook.layer_sheet import LayerSheet
from cnntrain.explain.workbook.sheet import Book
from cnntrain.passes.problem import ConvolutionGeometry, Window


class ConvolutionSheet(LayerSheet):
    """z = b + Σ w x; back, the full convolution with the rotated filter."""

    words = "z = b + Σ w x over a window;  dL/dx = Σ (filter rotated by 180°) δ;  dL/dw = Σ δ x"

    def __init__(self, book: Book, traced: LayerTrace, name: str, step: int) -> None:
        super().__init__(book, traced, name, step)
        self.geometry = self.settings.geometry(traced.row.input_shape)
        self.rows, self.columns = self.geometry.rows, self.geometry.columns
        self.of_group = self.geometry.channels // self.geometry.groups  # channels
        self.filters_of_group = self.geometry.filters // self.geometry.groups

    @classmethod
    def count(cls, traced: LayerTrace) -> int:
        geometry = traced.row.settings.geometry(traced.row.input_shape)
        taps = (
            geometry.filters * (geometry.channels // geometry.groups) * _reach(geometry.rows) * _reach(geometry.columns)
        )
        spread = traced.row.output_shape.channels * _spread(geometry.rows) * _spread(geometry.columns)
        own = cls.count_gradients(traced)
        return (
            super().count(traced) + own + taps * (1 + _is_dilated(geometry)) + (spread if _has_stride(geometry) else 0)
        )

    def forward(self, x: Maps) -> Maps:
        self.x, weight, bias = x, self.parameter("weight"), self.parameter("bias")
        assert weight is not None  # convolutions have one
        filters, rotated = self._filters(weight)
        self.slid, self.back = (rotated, filters) if self.geometry.rotated else (filters, rotated)
        name = "rotated filter" if self.geometry.rotated else "filter"

        def z(k: int, i: int, j: int) -> str:
            terms = [] if bias is None else [self.ref(bias.at((k,)))]
            first = k // self.filters_of_group * self.of_group
            rows, columns = _window(self.rows, i), _window(self.columns, j)
            if rows is not None and columns is not None:
                for c in range(self.of_group):
                    taps = self.slid[k].blocks[c].range(*rows.taps, *columns.taps)
                    seen = x.blocks[first + c].range(*rows.pixels, *columns.pixels)
                    terms.append(f"SUMPRODUCT({self.ref(taps)},{self.ref(seen)})")
            return "+".join(terms) or "0"

        self.z = self.output(f"b + Σ {name} · window", z)
        return self.z

    def _filters(self, weight: Learned) -> tuple[tuple[Maps, ...], tuple[Maps, ...]]:
        """Return the filters as they slide without rotation, and rotated by 180°; a dilation puts zeros between."""
        k, c = weight.shape[:2]
        down, across = self.rows.dilation, self.columns.dilation
        high, wide = _reach(self.rows), _reach(self.columns)
        plain = weight.filters
        if _is_dilated(self.geometry):
            spread = learned(
                self.sheet, "filter, pulled apart by the dilation", "zeros between the taps", (k, c, high, wide),
                lambda at: "0" if at[2] % down or at[3] % across
                else self.ref(weight.at((at[0], at[1], at[2] // down, at[3] // across))),
                "weight",
            )  # fmt: skip
            plain = spread.filters
        turned = learned(
            self.sheet, "filter, rotated by 180°", "w[k, c, R-1-r, S-1-s]", (k, c, high, wide),
            lambda at: self.ref(plain[at[0]].at((at[1], high - 1 - at[2], wide - 1 - at[3]))), "weight",
        )  # fmt: skip
        return plain, turned.filters

    def backward(self, delta: Maps) -> Maps:
        spread = self._spread(delta)
        self._gradients(delta, spread)
        turned = "filter" if self.geometry.rotated else "rotated filter"

        def dx(channel: int, y: int, x: int) -> str:
            group, c = divmod(channel, self.of_group)
            rows, columns = _back(self.rows, y), _back(self.columns, x)
            terms = []
            if rows is not None and columns is not None:
                for k in range(group * self.filters_of_group, (group + 1) * self.filters_of_group):
                    taps = self.back[k].blocks[c].range(*rows.taps, *columns.taps)
                    seen = spread.blocks[k].range(*rows.pixels, *columns.pixels)
                    terms.append(f"SUMPRODUCT({self.ref(taps)},{self.ref(seen)})")
            return "+".join(terms) or "0"

        return self.grad_input(f"the full convolution: Σ {turned} · padded δ", dx)

    def _spread(self, delta: Maps) -> Maps:
        """Pull the delta apart by the stride."""
        if not _has_stride(self.geometry):
            return delta
        down, across = self.rows.stride, self.columns.stride
        return maps(
            self.sheet, "δ, pulled apart by the stride", "zeros between the elements",
            (self.outputs[0], _spread(self.rows), _spread(self.columns)),
            lambda k, i, j: "0" if i % down or j % across else self.ref(delta.at((k, i // down, j // across))), "delta",
        )  # fmt: skip

    def _gradients(self, delta: Maps, spread: Maps) -> None:
        def dw(index: tuple[int, ...]) -> str:
            k, c, r, s = index
            channel = k // self.filters_of_group * self.of_group + c
            if self.geometry.rotated:
                r, s = self.rows.taps - 1 - r, self.columns.taps - 1 - s
            rows, columns = _seen_by(self.rows, r), _seen_by(self.columns, s)
            if rows is None or columns is None:
                return "0"
            deltas = spread.blocks[k].range(*rows.taps, *columns.taps)
            pixels = self.x.blocks[channel].range(*rows.pixels, *columns.pixels)
            return f"SUMPRODUCT({self.ref(deltas)},{self.ref(pixels)})"

        self.gradient("weight", "w", "the valid correlation of input and δ: Σ δ x", dw)
        self.gradient("bias", "b", "Σ δ", lambda index: f"SUM({self.ref(delta.blocks[index[0]].whole)})")


class Overlap(NamedTuple):
    """Which elements of a filter meet which of an image along one axis: first and last of each."""

    taps: tuple[int, int]
    pixels: tuple[int, int]


def _overlap(offset: int, taps: int, pixels: int) -> Overlap | None:
    """Return where a filter whose first tap lies on pixel `offset` meets the image; None where nowhere."""
    first, last = max(0, -offset), min(taps, pixels - offset) - 1
    return None if first > last else Overlap((first, last), (first + offset, last + offset))


def _window(axis: Window, i: int) -> Overlap | None:
    """The filter, pulled apart, over output i's window."""
    return _overlap(i * axis.stride - axis.before, _reach(axis), axis.input_size)


def _back(axis: Window, y: int) -> Overlap | None:
    """The rotated filter over the delta, pulled apart, for pixel y."""
    return _overlap(y + axis.before - (_reach(axis) - 1), _reach(axis), _spread(axis))


def _seen_by(axis: Window, r: int) -> Overlap | None:
    """The delta, pulled apart, over the pixels that tap r saw."""
    return _overlap(r * axis.dilation - axis.before, _spread(axis), axis.input_size)


def _reach(axis: Window) -> int:
    return (axis.taps - 1) * axis.dilation + 1


def _spread(axis: Window) -> int:
    return (axis.output_size - 1) * axis.stride + 1


def _is_dilated(geometry: ConvolutionGeometry) -> bool:
    return max(geometry.rows.dilation, geometry.columns.dilation) > 1


def _has_stride(geometry: ConvolutionGeometry) -> bool:
    return max(geometry.rows.stride, geometry.columns.stride) > 1
