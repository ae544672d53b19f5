"""The page of a run: one step of each of its checkpoints, on the same images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cnntrain.errors import ArgumentError
from cnntrain.explain.example import Example, example_of
from cnntrain.explain.page.html import page_of
from cnntrain.explain.pictures import Wanted
from cnntrain.explain.trace import Trace
from cnntrain.runs.checkpoint import read_checkpoint


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
        about=first.title if several else f"{first.name}, {first.title}; {first.origin}",
        class_names=first.class_names,
        notes=list(dict.fromkeys(note for example in examples for note in example.notes)),
    )


def examples_of_run(
    run: Path,
    *,
    wanted: Wanted = Wanted(),  # noqa: B008 - it is frozen
    overrides: Sequence[str] = (),
    warn: Callable[[str], None] = lambda text: None,
) -> list[Example]:
    """Return an example for every checkpoint that a run has kept, in the order of their steps.

    Of two checkpoints after the same step (the best is often the last) the one counts that knows the optimiser.

    Parameters
    ----------
    run : Path
        The folder.
    wanted, overrides, warn
        As for `example_of`.

    Raises
    ------
    CnntrainError
        As `example_of` does.
    """
    by_step: dict[int, Path] = {}
    for file in sorted(run.glob("[!.]*.safetensors")):
        checkpoint = read_checkpoint(file)
        step = checkpoint.metadata.progress.step
        if step not in by_step or checkpoint.optimizer:
            by_step[step] = file
    files = [file for _, file in sorted(by_step.items())] or [run]  # of none, `example_of` says that there is none
    return [example_of(file, from_config=False, wanted=wanted, overrides=overrides, warn=warn) for file in files]
