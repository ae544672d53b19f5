"""A mutant: one thing broken on purpose, on a small network where it matters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_MISSING = object()


class Patch:
    """Changes attributes of classes and modules, and puts them back."""

    def __init__(self) -> None:
        self._kept: list[tuple[Any, str, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Put `value` in the place of an attribute."""
        self._kept.append((owner, name, vars(owner).get(name, _MISSING)))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Put everything back."""
        while self._kept:
            owner, name, value = self._kept.pop()
            if value is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


How = Callable[[Patch], None]


@dataclass(frozen=True)
class Mutant:
    """An entry of the tables in `mutants_*.py`.

    Attributes
    ----------
    name : str
        What is done wrong.
    ground : str
        The network of `grounds.GROUNDS` that it is tried on.
    how : callable
        Breaks it; imports what it breaks.
    linear : bool
        It is about a convolution, a dense layer, an average, a sum, a concatenation or a mask.
    consistent : bool
        Forward and backward passes are wrong in the same way: gradients are those of the wrong function.
    """

    name: str
    ground: str
    how: How
    linear: bool = True
    consistent: bool = False


@contextmanager
def broken(mutant: Mutant) -> Iterator[None]:
    """Run with a mutant in place."""
    patch = Patch()
    try:
        mutant.how(patch)
        yield
    finally:
        patch.undo()


def instead(owner: Any, name: str, make: Callable[[Any], Any]) -> How:
    """Replace a function by what `make` makes of it."""

    def how(patch: Patch) -> None:
        patch.set(owner, name, make(getattr(owner, name)))

    return how


def after(owner: Any, name: str, spoil: Callable[..., Any]) -> How:
    """Do something behind a method: `spoil(self, result, *arguments)` may return another result."""

    def make(function: Any) -> Any:
        def spoilt(self: Any, *arguments: Any, **named: Any) -> Any:
            result = function(self, *arguments, **named)
            other = spoil(self, result, *arguments)
            return result if other is None else other

        return spoilt

    return instead(owner, name, make)


def before(owner: Any, name: str, change: Callable[..., tuple[Any, ...]]) -> How:
    """Call a method with other arguments: those that `change(self, *arguments)` returns."""

    def make(function: Any) -> Any:
        def spoilt(self: Any, *arguments: Any, **named: Any) -> Any:
            return function(self, *change(self, *arguments), **named)

        return spoilt

    return instead(owner, name, make)


def with_attribute(owner: Any, name: str, attribute: str, value: Callable[[Any], Any]) -> How:
    """Let an attribute of the object be another while a method runs: `value` makes it of the right one."""

    def make(function: Any) -> Any:
        def spoilt(self: Any, *arguments: Any, **named: Any) -> Any:
            kept = getattr(self, attribute)
            setattr(self, attribute, value(kept))
            try:
                return function(self, *arguments, **named)
            finally:
                setattr(self, attribute, kept)

        return spoilt

    return instead(owner, name, make)


def all_of(*hows: How) -> How:
    """Break several places."""

    def how(patch: Patch) -> None:
        for one in hows:
            one(patch)

    return how
