"""A layer's sheet: forward, then back, in formulas of cells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from cnntrain.explain.trace import LayerTrace
from cnntrain.explain.workbook.arrays import Learned, Maps, learned, maps
from cnntrain.explain.workbook.sheet import Book, Ref

Shape3 = tuple[int, int, int]


class LayerSheet(ABC):
    """A layer's formulas.

    Parameters
    ----------
    book : Book
    traced : LayerTrace
    name : str
        Of the sheet.
    step : int
        0-based number of the step.
    """

    words = ""

    def __init__(self, book: Book, traced: LayerTrace, name: str, step: int) -> None:
        row = traced.row
        self.traced, self.settings, self.step = traced, row.settings, step
        self.inputs: Shape3 = (*row.input_shape,)
        self.outputs: Shape3 = (*row.output_shape,)
        self.sheet = book.sheet(name, f"{row.path}   {row.input_shape} → {row.output_shape}", self.words, "1D4ED8")
        self.gradients: dict[str, Learned] = {}
        self.weights: dict[str, Learned] = {}

    @classmethod
    def refusal(cls, traced: LayerTrace) -> str | None:
        """Say why a layer has no formulas here; None if it has."""
        return None

    @classmethod
    def count(cls, traced: LayerTrace) -> int:
        """Return how many formulas there will be, without those of the update."""
        return traced.row.output_shape.size + traced.row.input_shape.size

    @abstractmethod
    def forward(self, x: Maps) -> Maps:
        """Write the output."""

    @abstractmethod
    def backward(self, delta: Maps) -> Maps:
        """Write the gradients and dL/d(input)."""

    def from_loss(self, gradients: Sequence[Ref]) -> Maps:
        """Write dL/d(output) of the last layer, from the cells of dL/d(logits)."""
        _, rows, columns = self.outputs

        def delta(c: int, i: int, j: int) -> str:
            return self.ref(gradients[(c * rows + i) * columns + j])

        return maps(self.sheet, "dL/d(output): the delta", "from the loss", self.outputs, delta, "delta")

    def ref(self, cell: Ref) -> str:
        """Write a cell for a formula of this sheet."""
        return self.sheet.seen(cell)

    def output(self, formula: str, value: Callable[[int, int, int], str]) -> Maps:
        """Write the output."""
        return maps(self.sheet, "output", formula, self.outputs, value, "forward")

    def grad_input(self, formula: str, value: Callable[[int, int, int], str]) -> Maps:
        """Write dL/d(input)."""
        return maps(self.sheet, "dL/d(input): the delta that goes on backwards", formula, self.inputs, value, "delta")

    def parameter(self, name: str) -> Learned | None:
        """Write a learned array's numbers, which the reader may change; None if the layer has none of that name."""
        found = self.traced.parameters.get(name)
        if found is None:
            return None
        value = found.value
        self.weights[name] = learned(
            self.sheet,
            name,
            "change any of them",
            value.shape,
            lambda index: float(value[index]),
            "weight",
            is_input=True,
        )
        return self.weights[name]

    def gradient(self, name: str, letter: str, formula: str, value: Callable[[tuple[int, ...]], str]) -> None:
        """Write dL/d(learned array), unless that is frozen or the layer has none of that name."""
        found = self.traced.parameters.get(name)
        if found is not None and not found.parameter.frozen:
            self.gradients[name] = learned(self.sheet, f"dL/d{letter}", formula, found.value.shape, value, "gradient")

    @staticmethod
    def count_gradients(traced: LayerTrace) -> int:
        """Return how many formulas the gradients of learned arrays take."""
        return sum(each.value.size for each in traced.parameters.values() if not each.parameter.frozen)
