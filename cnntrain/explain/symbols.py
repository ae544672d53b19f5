"""The sums of a small convolution in letters, and the matrices of derivatives that the chain rule asks for."""

from __future__ import annotations

from dataclasses import dataclass

from cnntrain.explain.document import Cell, Matrix, Place, matrix
from cnntrain.explain.letters import letter, sum_of, table
from cnntrain.explain.sliding import Sliding, sliding

MOST_PIXELS, MOST_OUTPUTS = 9, 4  # that letters are shown for


@dataclass(frozen=True)
class Symbols:
    """A convolution whose numbers are letters; `note` says so where it is not the one of the numbers."""

    law: Sliding
    note: str = ""

    def z(self, output: Place) -> str:
        """Return w₁₁x₁₁ + w₁₂x₁₂ + ... of one output; what lies on the padding is left out."""
        return sum_of(
            (letter("w", self.law.weight(tap)), letter("x", pixel))
            for tap in self.law.taps()
            if (pixel := self.law.read(output, tap)) is not None
        )

    def by_image(self, output: Place) -> Matrix:
        """Return ∂z/∂x of one output: the filter where it lay, zeros elsewhere."""
        found = {self.law.read(output, tap): letter("w", self.law.weight(tap)) for tap in self.law.taps()}
        return self._derivative("x", output, self.law.rows.size, self.law.columns.size, found)

    def by_filter(self, output: Place) -> Matrix:
        """Return ∂z/∂w of one output: the patch of the image that it saw."""
        found = {
            self.law.weight(tap): letter("x", pixel)
            for tap in self.law.taps()
            if (pixel := self.law.read(output, tap)) is not None
        }
        return self._derivative("w", output, self.law.rows.taps, self.law.columns.taps, found)

    def _derivative(
        self, by: str, output: Place, rows: int, columns: int, found: dict[Place | None, str] | dict[Place, str]
    ) -> Matrix:
        values: list[list[Cell]] = table(rows, columns, lambda place: found.get(place, "0"))
        faint = [(i, j) for i in range(rows) for j in range(columns) if values[i][j] == "0"]
        return matrix(f"∂{letter('z', output)}/∂{by}", values, faint=faint)

    def grad_input(self, pixel: Place) -> str:
        """Return δ₁₁w₁₁ + ... of one pixel, in the order of the outputs that read it."""
        found = sorted(self.law.reaching(pixel), key=lambda each: each[1])
        return sum_of((letter("δ", output), letter("w", self.law.weight(tap))) for tap, output in found)

    def grad_weight(self, place: Place) -> str:
        """Return δ₁₁x₁₁ + ... of one weight."""
        tap = self.law.weight(place)
        return sum_of(
            (letter("δ", output), letter("x", pixel))
            for output in self.law.outputs()
            if (pixel := self.law.read(output, tap)) is not None
        )


def in_letters(law: Sliding) -> Symbols:
    """Return the convolution in letters, or that of a 3x3 image and a 2x2 filter where it has too many."""
    outputs = law.rows.outputs * law.columns.outputs
    if law.rows.size * law.columns.size <= MOST_PIXELS and outputs <= MOST_OUTPUTS:
        return Symbols(law)
    small = sliding((3, 3), (2, 2), mode="convolution" if law.rotated else "cross_correlation")
    return Symbols(small, "(The letters are those of a 3x3 image and a 2x2 filter: yours would fill pages.)")
