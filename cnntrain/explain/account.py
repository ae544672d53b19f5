"""One number with the numbers that it was made of: sums written out, windows, and the kernels' number beside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import MismatchError
from cnntrain.explain.trace import LayerTrace

# What rounding may do, as a share of the largest number around: in sums of thousands of terms, and in transformed
# convolutions, whose numbers are up to some hundred times as large on the way. Few wrong terms are so small.
ROUNDING = 1e-10

Place = tuple[int, int, int, int]  # image, channel, row, column


@dataclass(frozen=True)
class Term:
    """A summand: the product of its factors.

    Attributes
    ----------
    label : str
        In letters: "w[2,0,0,1] x[0,7,10]".
    factors : tuple of float
    """

    label: str
    factors: tuple[float, ...]

    @property
    def value(self) -> float:
        """The product."""
        return math.prod(self.factors)


@dataclass(frozen=True)
class Line:
    """One step of a derivation: a sum of terms over a divisor, or a number that a formula gives.

    Attributes
    ----------
    name : str
        What is computed: "z[2,9,11]".
    formula : str
        In letters.
    terms : tuple of Term
    divisor : float
        Of the sum.
    given : float or None
        The value, where it is no sum.
    kernel : float or None
        The number that the kernels computed, where there is one.
    size : float
        The largest numbers around: what rounding errors are compared with.
    rounding : float
        What rounding may do, as a share of that.
    """

    name: str
    formula: str
    terms: tuple[Term, ...] = ()
    divisor: float = 1.0
    given: float | None = None
    kernel: float | None = None
    size: float = 0.0
    rounding: float = ROUNDING

    @property
    def value(self) -> float:
        """The sum, or what is given."""
        if self.given is not None:
            return self.given
        values = [term.value for term in self.terms]
        return (math.fsum(values) if all(map(math.isfinite, values)) else sum(values)) / self.divisor

    @property
    def difference(self) -> float | None:
        """Value less the kernels' number; None without one, 0 where both are the same infinity or NaN."""
        if self.kernel is None:
            return None
        same = self.value == self.kernel or (math.isnan(self.value) and math.isnan(self.kernel))
        return 0.0 if same else self.value - self.kernel

    def check(self, path: str) -> None:
        """Raise `MismatchError` where the kernels' number is another one."""
        if self.difference is None:
            return
        largest = sum(abs(term.value) for term in self.terms) / abs(self.divisor)
        allowed = self.rounding * max(self.size, largest, abs(self.value))
        if not abs(self.difference) <= allowed:
            raise MismatchError(
                f"{path}: {self.name} = {self.formula} gives {self.value!r}, the kernels gave {self.kernel!r}: "
                "more than rounding. This is an error in cnntrain: please report it, with the config"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        terms = [{"term": term.label, "factors": list(term.factors), "value": term.value} for term in self.terms]
        return {
            "name": self.name, "formula": self.formula, "count": len(terms), "terms": terms, "divisor": self.divisor,
            "value": self.value, "kernels": self.kernel,
        }  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """A window, to look at.

    Attributes
    ----------
    title : str
    values : tuple of tuple of float or None
        Rows; None on the padding, or between the elements of a delta that a stride pulls apart.
    marked : tuple of (row, column)
        Those that count: the winner of a pooling window, the number itself.
    """

    title: str
    values: tuple[tuple[float | None, ...], ...]
    marked: tuple[tuple[int, int], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"title": self.title, "values": [list(row) for row in self.values], "marked": [*map(list, self.marked)]}


@dataclass(frozen=True)
class Derivation:
    """How a number comes about: the last line is the number.

    Attributes
    ----------
    title : str
        The formula in words.
    lines : tuple of Line
    grids : tuple of tuple of Grid
        Those of a tuple belong side by side.
    remarks : tuple of str
    """

    title: str
    lines: tuple[Line, ...]
    grids: tuple[tuple[Grid, ...], ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def last(self) -> Line:
        """The line of the number itself."""
        return self.lines[-1]

    def check(self, path: str) -> None:
        """Raise `MismatchError` where a sum is not the kernels' number."""
        for line in self.lines:
            line.check(path)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "title": self.title,
            "lines": [line.as_dict() for line in self.lines],
            "grids": [grid.as_dict() for row in self.grids for grid in row],
            "remarks": list(self.remarks),
        }


class Formulas:
    """The formulas of a kind of layer, for one layer of a trace. Subclasses say what they know.

    Parameters
    ----------
    traced : LayerTrace
    step : int
        0-based number of the step, for what is drawn at random.
    """

    def __init__(self, traced: LayerTrace, step: int) -> None:
        self.traced, self.step, self.settings = traced, step, traced.row.settings
        self.images = len(traced.input)

    def value(self, place: Place) -> Derivation:
        """Derive an element of the output."""
        raise NotImplementedError

    def delta(self, place: Place) -> Derivation:
        """Derive an element of dL/d(input)."""
        raise NotImplementedError

    def gradient(self, tensor: str, index: tuple[int, ...]) -> Derivation:
        """Derive an element of dL/d(learned array)."""
        raise NotImplementedError

    # --- what subclasses have in common ---

    def named(self, letter: str, place: Sequence[int]) -> str:
        """Write an element of a batch: x[0,7,10]; with several images x[3,0,7,10]; without rows and columns x[5]."""
        channel_only = all(size == 1 for size in self._map_of(letter)) and not any(place[2:])
        shown = [*place[:1], place[1]] if channel_only else list(place)
        return named(letter, shown if self.images > 1 else shown[1:])

    def _map_of(self, letter: str) -> Sequence[int]:
        of_input = letter.startswith("x") or letter == "dL/dx"
        return (self.traced.row.input_shape if of_input else self.traced.row.output_shape)[1:]

    @property
    def x(self) -> NDArray[np.float64]:
        """The layer's input."""
        return self.traced.input

    @property
    def y(self) -> NDArray[np.float64]:
        """Its output."""
        return self.traced.output

    @property
    def delta_y(self) -> NDArray[np.float64]:
        """dL/d(output)."""
        assert self.traced.grad_output is not None  # networks of traces pass it all the way back
        return self.traced.grad_output

    @property
    def delta_x(self) -> NDArray[np.float64]:
        """dL/d(input)."""
        assert self.traced.grad_input is not None  # as above
        return self.traced.grad_input

    def learned(self, tensor: str) -> NDArray[np.float64] | None:
        """Return a learned array before the step; None if the layer has none of that name."""
        found = self.traced.parameters.get(tensor)
        return None if found is None else found.value

    def line_of_value(self, place: Place, formula: str, terms: Sequence[Term] = (), **more: Any) -> Line:
        """Return the last line of `value`."""
        return _last(self.named("y", place), formula, terms, self.y, place, more)

    def line_of_delta(self, place: Place, formula: str, terms: Sequence[Term] = (), **more: Any) -> Line:
        """Return the last line of `delta`."""
        return _last(self.named("dL/dx", place), formula, terms, self.delta_x, place, more)

    def line_of_gradient(self, tensor: str, index: tuple[int, ...], formula: str, terms: Sequence[Term]) -> Line:
        """Return the last line of `gradient`."""
        gradient = self.traced.parameters[tensor].gradient
        return _last(named(f"dL/d{tensor}", index), formula, terms, gradient, index, {})


def named(letter: str, index: Sequence[int]) -> str:
    """Write an element of an array: w[2,0,0,1]."""
    return f"{letter}[{','.join(map(str, index))}]"


def largest(array: NDArray[Any]) -> float:
    """Return the largest finite size of an array's numbers."""
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max()) if finite.size else 0.0


def _last(
    name: str, formula: str, terms: Sequence[Term], array: NDArray[np.float64], index: Sequence[int], more: Any
) -> Line:
    return Line(name, formula, tuple(terms), kernel=float(array[tuple(index)]), size=largest(array), **more)
