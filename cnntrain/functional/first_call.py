"""Saying, once, that kernels are being compiled: the first call on a machine must not look like a hang."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from cnntrain.kernels.compiler.report import announce, cache_folder

P = ParamSpec("P")
R = TypeVar("R")

_said = False


def says_when_it_compiles(function: Callable[P, R]) -> Callable[P, R]:
    """Let the first call in this process that compiles say so on stderr; no other call says anything."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if _said:
            return function(*args, **kwargs)
        with announce(_say):
            return function(*args, **kwargs)

    return call


def _say(kernel: str) -> None:
    global _said
    if _said:
        return
    _said = True
    folder = cache_folder()
    kept = f"once; kept in {folder}" if folder else "in every process: no folder for them can be used"
    with suppress(OSError, ValueError, AttributeError):  # a closed stderr, or none, is no reason not to compute
        sys.stderr.write(f"compiling kernels for this machine ({kept}) ...\n")
        sys.stderr.flush()
