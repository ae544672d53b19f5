"""The C functions that networks are made of: one for each kind of layer. A file gets those that it calls.

Images lie channel by channel, row by row: (C, H, W). The formulas are those of `cnntrain.kernels`.
"""

from __future__ import annotations

from collections.abc import Sequence

from cnntrain.export.c.function import Function
from cnntrain.export.c.values import VALUES
from cnntrain.export.c.windows import WINDOWS

PARTS: dict[str, Function] = WINDOWS | VALUES


def needed(kinds: Sequence[str]) -> list[str]:
    """Return the parts that functions need, and themselves, in the order in which they can stand in a file."""
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        for other in PARTS[name].needs:
            visit(other)
        found[name] = None

    for kind in kinds:
        visit(kind)
    return list(found)
