"""A network as a list of calls on buffers, and where in one arena each buffer lies.

Every value is made by one step and read by later ones. A step that goes element by element writes over what it reads
where nobody reads that later. Buffers whose lives do not overlap share memory: the largest is placed first, each at
the lowest place that is free while it lives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FLOAT = 4  # bytes
INT = 4


class Step(NamedTuple):
    """A call `kind(settings, sources..., target, arguments...)`.

    Attributes
    ----------
    kind : str
        The function.
    settings : str
        Name of the struct that comes first; empty where there is none.
    sources : tuple of int
        Values that are read.
    target : int
        The value that is written.
    offset : int
        From where on in the target, in floats.
    arguments : tuple of str
        C expressions.
    comment : str
    in_place : bool
        The function may write over any of its sources.
    """

    kind: str
    settings: str
    sources: tuple[int, ...]
    target: int
    offset: int
    arguments: tuple[str, ...]
    comment: str
    in_place: bool


class Struct(NamedTuple):
    """Constants of a step: a type, and an initialiser with the number of ints in it."""

    type: str
    text: str
    ints: int


@dataclass
class Program:
    """What the C file is written from.

    Attributes
    ----------
    sizes : list of int
        Floats of each value; the first is the normalised image.
    steps : list of Step
    arrays : dict
        Constant arrays, float32, by their names in C.
    structs : dict
    """

    sizes: list[int]
    steps: list[Step] = field(default_factory=list)
    arrays: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    structs: dict[str, Struct] = field(default_factory=dict)

    def value(self, size: int) -> int:
        """Return a new value."""
        self.sizes.append(size)
        return len(self.sizes) - 1

    def add(
        self,
        kind: str,
        sources: Sequence[int],
        size: int,
        comment: str,
        arguments: Sequence[str] = (),
        settings: str = "",
        in_place: bool = False,
    ) -> int:
        """Add a step that makes a value, and return that."""
        target = self.value(size)
        self.steps.append(Step(kind, settings, tuple(sources), target, 0, tuple(arguments), comment, in_place))
        return target

    def copy(self, source: int, target: int, offset: int, comment: str) -> None:
        """Add a step that makes a part of a value."""
        self.steps.append(Step("copy", "", (source,), target, offset, (str(self.sizes[source]),), comment, False))

    def array(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant array, and return its name."""
        self.arrays[name] = np.asarray(values, np.float32).reshape(-1)
        return name

    def struct(self, name: str, kind: str, fields: Mapping[str, Any]) -> str:
        """Add a struct of ints and structs of ints, and return its name."""
        self.structs[name] = Struct(kind, _initialiser(fields), _count(fields))
        return name

    @property
    def kinds(self) -> list[str]:
        """The functions that are called, in the order of their first calls."""
        return list(dict.fromkeys(step.kind for step in self.steps))

    @property
    def constants(self) -> int:
        """Bytes of all arrays and structs."""
        arrays = sum(array.size for array in self.arrays.values()) * FLOAT
        return arrays + sum(struct.ints for struct in self.structs.values()) * INT


class Arena(NamedTuple):
    """Where values lie, in floats, and how many floats there are."""

    places: list[int]
    size: int

    @property
    def bytes(self) -> int:
        """What it takes."""
        return self.size * FLOAT


def plan(program: Program, kept: int) -> Arena:
    """Give each value a place; `kept` is read after the last step."""
    count = len(program.sizes)
    first, last = [0] * count, [-1] * count
    for number, step in reversed(list(enumerate(program.steps))):
        first[step.target] = number
    for number, step in enumerate(program.steps):
        for value in step.sources:
            last[value] = number
        last[step.target] = max(last[step.target], number)
    last[kept] = len(program.steps)
    buffer = list(range(count))  # which value's memory each value lies in
    for number, step in enumerate(program.steps):
        if step.in_place:
            free = [v for v in step.sources if last[v] == number and program.sizes[v] == program.sizes[step.target]]
            if free:
                buffer[step.target] = buffer[free[0]]
                last[buffer[free[0]]] = max(last[buffer[free[0]]], last[step.target])
    placed: dict[int, int] = {}
    for value in sorted(set(buffer), key=lambda v: (-program.sizes[v], v)):
        others = [o for o in placed if first[o] <= last[value] and first[value] <= last[o]]
        place = 0
        for other in sorted(others, key=placed.__getitem__):
            if place + program.sizes[value] <= placed[other]:
                break
            place = max(place, placed[other] + program.sizes[other])
        placed[value] = place
    size = max(place + program.sizes[value] for value, place in placed.items())
    return Arena([placed[buffer[value]] for value in range(count)], size)


def _initialiser(fields: Mapping[str, Any]) -> str:
    parts = (f".{key} = {_initialiser(v) if isinstance(v, Mapping) else v}" for key, v in fields.items())
    return "{" + ", ".join(parts) + "}"


def _count(fields: Mapping[str, Any]) -> int:
    return sum(_count(v) if isinstance(v, Mapping) else 1 for v in fields.values())
