"""The lessons: one file each, and one line in this list."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from cnntrain.errors import ArgumentError
from cnntrain.explain.agreement import check_sum
from cnntrain.explain.document import Block, Document, Heading, Link, Text, sums_of
from cnntrain.hints import hint
from cnntrain.printable import printable

_WINDOW = ("stride", "padding", "dilation", "mode")


class Lesson(NamedTuple):
    """What is known of a lesson before it is held."""

    about: str
    takes: tuple[str, ...]  # options whose numbers may replace its own
    section: str  # of docs/mathematics.md


# In the order in which one may read them. The module of that name, with "_" for "-", holds TITLE and `lesson(given)`.
LESSONS: dict[str, Lesson] = {
    "forward": Lesson("a filter slides over an image", ("image", "filter", "bias", *_WINDOW), "forward"),
    "full-convolution": Lesson(
        "the image's gradient: the filter rotated, the delta padded",
        ("image", "filter", "delta", *_WINDOW),
        "backward-to-the-input-the-full-convolution",
    ),
    "weights": Lesson(
        "the filter's gradient: the delta slides over the image",
        ("image", "filter", "delta", *_WINDOW),
        "backward-to-the-weights-a-valid-correlation",
    ),
    "bias": Lesson(
        "the bias's gradient: the delta added up",
        ("image", "filter", "delta", "bias", *_WINDOW),
        "backward-to-the-weights-a-valid-correlation",
    ),
    "channels": Lesson(
        "channels, filters, batches: which index each sum runs over",
        ("image", "filter", "delta", "bias", *_WINDOW),
        "backward-to-the-input-the-full-convolution",
    ),
    "stride": Lesson(
        "a window that jumps, and zeros between the delta's numbers",
        ("image", "filter", "delta", "bias", *_WINDOW),
        "backward-to-the-input-the-full-convolution",
    ),
    "as-a-matrix": Lesson(
        "a sparse matrix, and why the filter is rotated",
        ("image", "filter", "delta", "bias", *_WINDOW),
        "dense-layers",
    ),
    "true-convolution": Lesson(
        "the delta rule of the textbooks: δ = δ ∗ ROT180(w) · σ'(z)",
        ("image", "filter", "delta", "bias", "stride", "padding", "dilation"),
        "activations",
    ),
    "pooling": Lesson(
        "max-pooling: the mask, and windows that overlap",
        ("image", "window", "stride", "delta"),
        "max-pooling",
    ),
    "network": Lesson(
        "a whole network, there and back, beside central differences",
        ("image", "filter", "bias", "learning_rate"),
        "is-it-all-true",
    ),
    "update": Lesson(
        "gradient descent with momentum and weight decay",
        ("image", "filter", "delta", *_WINDOW, "learning_rate", "momentum", "weight_decay"),
        "gradient-descent",
    ),
}


def listing() -> dict[str, str]:
    """Return the names of the lessons, each with what it is about."""
    return {name: lesson.about for name, lesson in LESSONS.items()}


def teach(name: str, **given: Any) -> Document:
    """Return a lesson on its own numbers, or on those given.

    Parameters
    ----------
    name : str
        One of `LESSONS`.
    **given : str, sequence of str, or None
        Numbers in the place of the lesson's, as written on the command line: image, filter, delta, bias, stride,
        padding, dilation, mode, ...

    Raises
    ------
    ArgumentError
        When there is no such lesson, or the numbers cannot be read or do not fit.
    MismatchError
        When a number of the kernels is not the sum that would be shown beside it.
    """
    if name not in LESSONS:
        known = "\n".join(f"  {each:18} {about}" for each, about in listing().items())
        meant = hint(name, LESSONS).partition(" (known")[0]
        wrong = f'no lesson "{printable(name[:40])}"{meant}' if name else "--lesson needs a name"
        raise ArgumentError(f"{wrong}; the lessons are\n{known}")
    about = LESSONS[name]
    for option, value in given.items():
        if value not in (None, ()) and option not in about.takes:
            taken = ", ".join(f"--{each.replace('_', '-')}" for each in about.takes)
            raise ArgumentError(f"lesson {name} takes no --{option.replace('_', '-')}; it takes {taken}")
    module = import_module(f"cnntrain.explain.lessons.{name.replace('-', '_')}")
    blocks: list[Block] = module.lesson(given)
    for written in sums_of(blocks):
        check_sum(written)
    return Document(name, module.TITLE, (*blocks, *_further(name)))


def _further(name: str) -> list[Block]:
    """Return where to read on: the derivation, and the next lesson."""
    names = list(LESSONS)
    following = names[names.index(name) + 1 :][:1]
    return [
        Heading("Further"),
        Text("Every number above came from the kernels that train, and was compared with the sum beside it."),
        Link("The derivation", f"docs/mathematics.md#{LESSONS[name].section}"),
        *(Link("The next lesson", f"cnntrain explain --lesson {each}") for each in following),
    ]
