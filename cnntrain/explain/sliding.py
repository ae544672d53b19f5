"""Which number meets which: the index law of a convolution, in whole numbers, one axis at a time.

Output i reads, through tap r, input i * stride - before + r * dilation. Everything that lessons write out follows from
this one line, by plain loops; the kernels are only compared with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cnntrain.errors import ArgumentError
from cnntrain.explain.document import Place


@dataclass(frozen=True)
class Axis:
    """How a filter slides along the rows, or the columns, of an image."""

    size: int
    taps: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1

    @property
    def reach(self) -> int:
        """How many inputs a filter's first and last tap lie apart, both counted."""
        return (self.taps - 1) * self.dilation + 1

    @property
    def outputs(self) -> int:
        return (self.size + self.before + self.after - self.reach) // self.stride + 1

    @property
    def padded(self) -> int:
        return self.before + self.size + self.after

    def read(self, output: int, tap: int) -> int:
        """Return the input that an output reads through a tap; outside 0 ... size - 1 it is padding."""
        return output * self.stride - self.before + tap * self.dilation

    @property
    def canvas(self) -> range:
        """Where the delta lies for the way back: input m reads place m + before - tap * dilation, stride apart."""
        return range(self.before - self.reach + 1, self.size + self.before)

    def output_at(self, place: int) -> int | None:
        """Return the output whose delta lies at a place of the canvas; None where there is a zero."""
        output, rest = divmod(place, self.stride)
        return output if rest == 0 and 0 <= output < self.outputs else None

    def reaching(self, pixel: int) -> list[tuple[int, int]]:
        """Return (tap, output) for all outputs that read a pixel, by falling taps: the rotated filter's order."""
        found = []
        for tap in reversed(range(self.taps)):
            output = self.output_at(pixel + self.before - tap * self.dilation)
            if output is not None:
                found.append((tap, output))
        return found


@dataclass(frozen=True)
class Sliding:
    """Both axes, and whether the filter is rotated by 180° before it slides forward."""

    rows: Axis
    columns: Axis
    rotated: bool = False

    @property
    def output_size(self) -> tuple[int, int]:
        return self.rows.outputs, self.columns.outputs

    def taps(self) -> Iterator[Place]:
        """Yield the places of a filter as it slides forward."""
        yield from ((r, s) for r in range(self.rows.taps) for s in range(self.columns.taps))

    def outputs(self) -> Iterator[Place]:
        yield from ((i, j) for i in range(self.rows.outputs) for j in range(self.columns.outputs))

    def pixels(self) -> Iterator[Place]:
        yield from ((m, n) for m in range(self.rows.size) for n in range(self.columns.size))

    def weight(self, tap: Place) -> Place:
        """Return which weight lies at a place of the sliding filter."""
        return (self.rows.taps - 1 - tap[0], self.columns.taps - 1 - tap[1]) if self.rotated else tap

    def read(self, output: Place, tap: Place) -> Place | None:
        """Return the pixel that an output reads through a tap; None on the padding."""
        m, n = self.rows.read(output[0], tap[0]), self.columns.read(output[1], tap[1])
        return (m, n) if 0 <= m < self.rows.size and 0 <= n < self.columns.size else None

    def reaching(self, pixel: Place) -> list[tuple[Place, Place]]:
        """Return (tap, output) for all outputs that read a pixel, by falling taps."""
        return [((r, s), (i, j)) for r, i in self.rows.reaching(pixel[0]) for s, j in self.columns.reaching(pixel[1])]


def sliding(
    image: tuple[int, int],
    taps: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] | str = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    mode: str = "cross_correlation",
    what: str = "filter",
) -> Sliding:
    """Return how a filter (or what it is called) slides over an image; raises `ArgumentError` when it does not fit."""
    axes = []
    for i in range(2):
        full = (taps[i] - 1) * dilation[i]
        if padding == "same":
            if stride[i] != 1:
                raise ArgumentError(f"--padding same needs --stride 1; received {stride[0]},{stride[1]}")
            before, after = full // 2, full - full // 2
        else:
            before = after = padding[i] if not isinstance(padding, str) else full if padding == "full" else 0
        axes.append(Axis(image[i], taps[i], stride[i], before, after, dilation[i]))
    rows, columns = axes
    if rows.outputs < 1 or columns.outputs < 1:
        dilated = f" with dilation {dilation[0]},{dilation[1]}" if dilation != (1, 1) else ""
        more = " or more --padding" if what == "filter" else ""
        raise ArgumentError(
            f"the {what} does not fit: {taps[0]}x{taps[1]}{dilated} reaches over {rows.reach}x{columns.reach}, the "
            f"padded image has {rows.padded}x{columns.padded}; give a smaller --{what}{more}"
        )
    return Sliding(rows, columns, mode == "convolution")
