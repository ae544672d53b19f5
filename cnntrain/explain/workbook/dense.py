"""The sheet of `dense`."""

from __future__ import annotations

from cnntrain.explain.trace import LayerTrace
from cnntrain.explain.workbook.arrays import Maps, learned
from cnntrain.explain.workbook.layer_sheet import LayerSheet


class DenseSheet(LayerSheet):
    """Y = W x + b."""

    words = "y = b + Σ w x;  dL/dx = Σ w δ;  dL/dw = δ x"

    @classmethod
    def count(cls, traced: LayerTrace) -> int:
        own = cls.count_gradients(traced)
        return super().count(traced) + traced.row.input_shape.size + traced.row.output_shape.size + own

    def forward(self, x: Maps) -> Maps:
        self.weight, bias = self.parameter("weight"), self.parameter("bias")
        assert self.weight is not None
        assert self.weight.block is not None
        block, indices = self.weight.block, x.indices
        self.flat = learned(
            self.sheet, "input, in one line", "channel by channel, row by row", (len(indices),),
            lambda at: self.ref(x.at(indices[at[0]])), "forward",
        )  # fmt: skip
        line = self.flat.block
        assert line is not None

        def y(k: int, i: int, j: int) -> str:
            summed = f"SUMPRODUCT({self.ref(block.range(k, k, 0, block.columns - 1))},{self.ref(line.whole)})"
            return summed if bias is None else f"{self.ref(bias.at((k,)))}+{summed}"

        return self.output("b + Σ w x: a row of w times the line", y)

    def backward(self, delta: Maps) -> Maps:
        assert self.weight is not None
        block = self.weight.block
        assert block is not None
        column = learned(
            self.sheet, "δ, in one column", "beside the rows of w", (block.rows, 1),
            lambda at: self.ref(delta.at((at[0], 0, 0))), "delta",
        ).block  # fmt: skip
        assert column is not None
        self.gradient(
            "weight", "w", "δ x", lambda at: f"{self.ref(column.at(at[0], 0))}*{self.ref(self.flat.at((at[1],)))}"
        )
        self.gradient("bias", "b", "δ", lambda at: self.ref(column.at(at[0], 0)))
        wide, high = self.inputs[1] * self.inputs[2], self.inputs[2]

        def dx(c: int, i: int, j: int) -> str:
            at = c * wide + i * high + j
            return f"SUMPRODUCT({self.ref(block.range(0, block.rows - 1, at, at))},{self.ref(column.whole)})"

        return self.grad_input("Σ w δ: a column of w times the column", dx)
