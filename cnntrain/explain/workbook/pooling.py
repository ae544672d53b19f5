"""The sheets of the pooling layers."""

from __future__ import annotations

from cnntrain.explain.terms.pooling import AveragePoolingFormulas, MaxPoolingFormulas, PoolingFormulas
from cnntrain.explain.trace import LayerTrace
from cnntrain.explain.workbook.arrays import Maps, maps
from cnntrain.explain.workbook.layer_sheet import LayerSheet

MOST_TAPS = 60  # of a max-pooling window: Excel nests no more than 64 IFs


class PoolingSheet(LayerSheet):
    """What the windows of both kinds have in common."""

    formulas: PoolingFormulas

    def window(self, x: Maps, c: int, i: int, j: int) -> str:
        """Return the range of a window's pixels."""
        inside = [at for line in self.formulas.positions(i, j) for at in line if at is not None]
        (top, left), (bottom, right) = inside[0], inside[-1]
        return self.ref(x.blocks[c].range(top, bottom, left, right))


class MaxPoolingSheet(PoolingSheet):
    """The largest of a window, and which it was."""

    words = "y = the largest x of the window;  the mask says which tap that was, and sends δ back to it"

    @classmethod
    def refusal(cls, traced: LayerTrace) -> str | None:
        rows, columns = traced.row.settings.axes(traced.row.input_shape)
        taps = rows.taps * columns.taps
        return (
            f"a window of {taps} pixels, at most {MOST_TAPS} can be told apart in a formula"
            if taps > MOST_TAPS
            else None
        )

    @classmethod
    def count(cls, traced: LayerTrace) -> int:
        return super().count(traced) + traced.row.output_shape.size

    def forward(self, x: Maps) -> Maps:
        self.formulas = MaxPoolingFormulas(self.traced, self.step)
        y = self.output("max over the window", lambda c, i, j: f"MAX({self.window(x, c, i, j)})")

        def winner(c: int, i: int, j: int) -> str:
            largest, wide = self.ref(y.at((c, i, j))), self.formulas.columns.taps
            taps = [
                (r * wide + s, at)
                for r, line in enumerate(self.formulas.positions(i, j)) for s, at in enumerate(line) if at is not None
            ]  # fmt: skip
            text = str(taps[-1][0])
            for tap, at in reversed(taps[:-1]):  # the first of equal ones wins
                text = f"IF({self.ref(x.at((c, *at)))}={largest},{tap},{text})"
            return text

        self.mask = maps(
            self.sheet, "mask", "the number of the tap that won, row by row; of equal ones the first", self.outputs,
            winner, "weight",
        )  # fmt: skip
        return y

    def backward(self, delta: Maps) -> Maps:
        def dx(c: int, y: int, x: int) -> str:
            terms = [
                f"IF({self.ref(self.mask.at((c, i, j)))}={tap},{self.ref(delta.at((c, i, j)))},0)"
                for i, j, tap in self.formulas.windows_with(y, x)
            ]
            return "+".join(terms) or "0"

        return self.grad_input("Σ δ of the windows that this pixel won", dx)


class AveragePoolingSheet(PoolingSheet):
    """The mean of a window."""

    words = "y = Σ x / places of the window;  dL/dx = Σ δ / places"

    def forward(self, x: Maps) -> Maps:
        self.averages = AveragePoolingFormulas(self.traced, self.step)
        self.formulas = self.averages
        return self.output(
            "Σ x / places", lambda c, i, j: f"SUM({self.window(x, c, i, j)})/{self.averages.divisor(i, j)}"
        )

    def backward(self, delta: Maps) -> Maps:
        def dx(c: int, y: int, x: int) -> str:
            terms = [
                f"{self.ref(delta.at((c, i, j)))}/{self.averages.divisor(i, j)}"
                for i, j, _ in self.formulas.windows_with(y, x)
            ]
            return "+".join(terms) or "0"

        return self.grad_input("Σ δ / places", dx)
