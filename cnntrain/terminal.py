"""What a stream can show: how wide it is, whether it has colours, and which kind of progress bar.

NO_COLOR (any text) forbids colours, FORCE_COLOR (any text but 0) asks for them where no terminal is. Pipes and files
get plain text of any width.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Any

COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
USUAL = 80  # columns of a terminal that does not tell


def width_of(stream: Any) -> int | None:
    """Return the columns of a terminal, or what COLUMNS says of it; None for anything that is no terminal."""
    if not _is_terminal(stream):
        return None
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL
    except (OSError, ValueError):
        return USUAL


def has_colours(stream: Any) -> bool:
    """Tell whether what is written there may have colours."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return _is_terminal(stream) and os.environ.get("TERM") != "dumb"


def painted(text: str, colour: str, stream: Any) -> str:
    """Return a text in a colour of `COLOURS`; as it is where the stream has none."""
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if text and has_colours(stream) else text


def in_notebook() -> bool:
    """Tell whether this process is the kernel of a Jupyter notebook that can show widgets."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {}) and find_spec("ipywidgets") is not None


def bar_for(stream: Any) -> tuple[Any, bool]:
    """Return the class of a progress bar (`tqdm`, or the one for notebooks), and whether it would be seen there."""
    if in_notebook() and stream_is_stderr(stream):
        from tqdm.notebook import tqdm as notebook_bar

        return notebook_bar, True
    from tqdm import tqdm

    return tqdm, _is_terminal(stream)


def stream_is_stderr(stream: Any) -> bool:
    """Tell whether a stream is the process's stderr, guarded or not: a widget takes the place of that alone."""
    return sys.stderr in (stream, getattr(stream, "_stream", None))


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (OSError, ValueError, AttributeError):
        return False
