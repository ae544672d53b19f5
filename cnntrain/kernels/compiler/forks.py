"""After a fork: a process that was forked once OpenMP's threads ran is told so, before OpenMP ends it.

GNU OpenMP does not survive a fork, and Numba ends such a process with a signal. In the child, every kernel forgets its
machine code and raises an error instead. Elsewhere nothing changes, and calls cost nothing more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from weakref import WeakSet

from cnntrain.errors import ForkError
from cnntrain.kernels.compiler.threads import threading_layer

_kernels: WeakSet[Any] = WeakSet()
_dead = False
_answer: Callable[..., Any] | None = None


def watch(dispatcher: Any) -> None:
    """Let a parallel kernel raise `ForkError` in a process in which it could not run."""
    _kernels.add(dispatcher)
    if _dead:
        _disable(dispatcher)
    elif _answer is not None:
        dispatcher._compile_for_args = partial(_answer, dispatcher)


@contextmanager
def answered_by(answer: Callable[..., Any]) -> Iterator[None]:
    """Let a function make the machine code of kernels that have none yet, `answer(dispatcher, *arguments)`.

    What it returns is called with the arguments.
    """
    global _answer
    if not _dead:
        _answer = answer
        for dispatcher in _kernels:
            dispatcher._compile_for_args = partial(answer, dispatcher)
    try:
        yield
    finally:
        _answer = None
        for dispatcher in () if _dead else _kernels:
            vars(dispatcher).pop("_compile_for_args", None)


def _after_fork() -> None:
    global _dead
    if not sys.platform.startswith("linux") or threading_layer() != "omp":
        return
    _dead = True
    for dispatcher in _kernels:
        _disable(dispatcher)


def _disable(dispatcher: Any) -> None:
    dispatcher._reset_overloads()
    dispatcher._compile_for_args = _refuse  # what Numba calls where it has no machine code


def _refuse(*_: Any, **__: Any) -> None:
    raise ForkError(
        "this process was forked from one that had already run kernels, and OpenMP's threads do not survive that: "
        'start processes with multiprocessing.get_context("spawn"), or fork before the first kernel runs'
    )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
