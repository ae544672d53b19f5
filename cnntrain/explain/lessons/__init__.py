"""The lessons: one file each, and one line in this list."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from cnntrain.errors import ArgumentError
from cnntrain.explain.document import Document
from cnntrain.hints import hint
from cnntrain.printable import printable

# name -> what it is about; the module of that name, with "_" for "-", holds `lesson(given) -> Document`
LESSONS: dict[str, str] = {}


def listing() -> dict[str, str]:
    """Return the names of the lessons, each with what it is about."""
    return dict(LESSONS)


def teach(name: str, **given: Any) -> Document:
    """Return a lesson on its own numbers, or on those given.

    Parameters
    ----------
    name : str
        One of `LESSONS`.
    **given : str or None
        Numbers in the place of the lesson's, as written on the command line: image, filter, delta, bias, stride, padding,
        dilation, mode.

    Raises
    ------
    ArgumentError
        When there is no such lesson, or the numbers cannot be read or do not fit.
    LessonError
        When a number of the kernels is not the sum that is shown.
    """
    if name not in LESSONS:
        known = "\n".join(f"  {each:18} {about}" for each, about in LESSONS.items())
        raise ArgumentError(f'no lesson "{printable(name)}"{hint(name, LESSONS)}; the lessons are\n{known}')
    module = import_module(f"cnntrain.explain.lessons.{name.replace('-', '_')}")
    document: Document = module.lesson(given)
    return document
