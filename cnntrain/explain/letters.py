"""Letters in the place of numbers: x₁₁, sums of products, matrices of letters."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cnntrain.explain.document import Cell, Matrix, Place, Role, matrix

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def letter(name: str, place: Place) -> str:
    """Return x₁₁ for ("x", (0, 0)): people count from 1."""
    row, column = (str(index + 1).translate(_SUBSCRIPTS) for index in place)
    return f"{name}{row}{column}" if len(row) == len(column) == 1 else f"{name}{row},{column}"


def letters(name: str, rows: int, columns: int, *, title: str = "", role: Role = "plain") -> Matrix:
    """Return a matrix of letters."""
    return matrix(title or name, table(rows, columns, lambda place: letter(name, place)), role=role)


def table(rows: int, columns: int, cell: Callable[[Place], Cell]) -> list[list[Cell]]:
    """Return rows of what `cell` says of each place."""
    return [[cell((i, j)) for j in range(columns)] for i in range(rows)]


def sum_of(products: Iterable[tuple[str, ...]]) -> str:
    """Return δ₁₁w₁₂ + δ₁₂w₁₁, or 0 for none."""
    return " + ".join("".join(factors) for factors in products) or "0"
