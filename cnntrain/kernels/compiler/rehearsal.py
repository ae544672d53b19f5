"""Which kernels something will call, found by doing it once without them.

In a rehearsal a call of a kernel for which this process has no machine code yet is noted, with the types of its
arguments, and does nothing. So one knows in a few milliseconds how many kernels are to be compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnntrain.kernels.compiler import checked, forks


class _Needed:
    """Kernels for certain types of arguments, which this process has not had when they were noted."""

    def __init__(self) -> None:
        self._forms: dict[tuple[int, Any], Any] = {}

    def note(self, dispatcher: Any, *arguments: Any) -> Callable[..., None]:
        """Note a call; return what is done in its place."""
        kinds = tuple(map(dispatcher.typeof_pyval, arguments))
        self._forms[id(dispatcher), kinds] = dispatcher
        return _nothing

    def names(self) -> list[str]:
        """Return the names of those that the cache does not hold, one for each combination of types."""
        forms = self._forms.items()
        return [dispatcher.py_func.__name__ for (_, kinds), dispatcher in forms if not _is_kept(dispatcher, kinds)]


def _is_kept(dispatcher: Any, kinds: Any) -> bool:
    holds = getattr(dispatcher._cache, "holds", None)  # there may be no cache
    return holds is not None and holds(kinds, dispatcher.targetctx)


def _nothing(*_: Any) -> None:
    pass


def rehearse(act: Callable[[], None]) -> list[str] | None:
    """Return the names of the kernels that an act needs and that are neither here nor in the cache, one for each form.

    None where that cannot be told: checked kernels are always run, and an act may need what kernels compute.
    What it leaves behind should be thrown away.
    """
    if checked.CHECKED:
        return None
    needed = _Needed()
    try:
        with forks.answered_by(needed.note), np.errstate(all="ignore"):
            act()
    except Exception:
        return None
    return needed.names()
