"""The page of a run: one step of each of its checkpoints, on the same images."""

from __future__ import annotations

from collections.abc import Sequence

from cnntrain.errors import ArgumentError
from cnntrain.explain.example import Example
from cnntrain.explain.page.html import page_of
from cnntrain.explain.trace import Trace


def page_of_examples(examples: Sequence[Example], traces: Sequence[Trace] | None = None) -> str:
    """Return the page of one example, or of several, between which a slider chooses.

    Parameters
    ----------
    examples : sequence of Example
        Of one network on the same images, with weights of different origin, in the order of the slider.
    traces : sequence of Trace, optional
        Theirs, where they have been made already.

    Raises
    ------
    ArgumentError
        There is no example, or they are not of one network on equally many images.
    """
    if not examples:
        raise ArgumentError("a page needs an example; received none")
    made = [example.trace() for example in examples] if traces is None else traces
    first = examples[0]
    several = len(examples) > 1
    return page_of(
        [(example.origin, trace) for example, trace in zip(examples, made, strict=True)],
        title=first.config.name or first.name,
        about=f"{first.name}, {first.title}" + ("" if several else f"; {first.origin}"),
        class_names=first.class_names,
        notes=list(dict.fromkeys(note for example in examples for note in example.notes)),
    )
