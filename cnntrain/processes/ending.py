"""How one of several processes ends: all others with it, and one message.

After joining, the team sees to it. Before, there is no way to talk but the launcher's: one process that leaves while
the others enter MPI would be waited for without end.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

from cnntrain.processes.launch import Launch, errors, joined, launched
from cnntrain.processes.launcher import HEARD, ask_to_end, turn_of

_WORD = 0.3  # seconds in which process 0 says why it leaves, if it does so too


def fail(text: str, code: int) -> None:
    """End all processes with one message, because this one cannot go on; where it is alone, return.

    Parameters
    ----------
    text : str
    code : int
        The exit code of all; not 0.
    """
    joined().fail(text, code)
    launch = launched()
    if launch is not None:
        _give_up(launch, text, code)


def leave_early(code: int) -> None:
    """Take notice that this process ends by itself with an exit code; the others must not wait for it."""
    launch = launched()
    if launch is not None and code and joined().size == 1:
        _give_up(launch, "" if launch.rank == 0 else f"ended with code {code}, by itself", code)


def end_all(code: int) -> None:
    """End all processes here and now, without a message; where this one is alone, return."""
    launch = launched()
    if launch is None:
        return
    if launch.rank:
        time.sleep(_WORD)
    joined().abort(code)
    ask_to_end(code)


def _give_up(launch: Launch, text: str, code: int) -> None:
    """End all before they have joined."""
    if launch.rank == 0:
        stream = sys.stderr
    else:
        time.sleep(turn_of(launch.rank))
        stream, text = errors(), f"process {launch.rank}: {text}"
    with contextlib.suppress(OSError, ValueError):
        stream.write(f"{text}\n" if text else "")
    for opened in (sys.stdout, stream):
        with contextlib.suppress(OSError, ValueError):
            opened.flush()
    time.sleep(HEARD)
    ask_to_end(code)
    os._exit(code)
