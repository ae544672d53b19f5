"""What a C function is, before it stands in a file."""

from __future__ import annotations

from typing import NamedTuple


class Function(NamedTuple):
    """A function's text.

    Attributes
    ----------
    text : str
    needs : tuple of str
        Functions and types before it.
    libm : bool
        It calls the C library's mathematics.
    """

    text: str
    needs: tuple[str, ...] = ()
    libm: bool = False
