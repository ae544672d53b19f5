"""`cnntrain explain`: every number of backpropagation with the numbers it was made of."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from cnntrain.cli import options

_LESSON = [
    click.option(
        "--lesson",
        is_flag=False,
        flag_value="",  # without a name: the error that lists them
        metavar="NAME",
        help="Explain one part of backpropagation on a few numbers.",
    ),
    click.option("--lessons", "list_lessons", is_flag=True, help="List the lessons, with one line each."),
    click.option(
        "--image",
        multiple=True,
        metavar="NUMBERS",
        help='A lesson\'s image: "1 2 3; 4 5 6", channels between |; again for a batch.',
    ),
    click.option(
        "--filter", multiple=True, metavar="NUMBERS", help='A lesson\'s filter: "1 2; 3 4"; again for more filters.'
    ),
    click.option("--delta", multiple=True, metavar="NUMBERS", help="A lesson's dL/dz, from behind; again for a batch."),
    click.option("--bias", metavar="NUMBERS", help="A lesson's bias; one for each filter."),
    click.option("--stride", metavar="N[,N]", help="How far a lesson's window moves."),
    click.option("--padding", metavar="N[,N]", help="Zeros around a lesson's image; or same, valid, full."),
    click.option("--dilation", metavar="N[,N]", help="How far the taps of a lesson's filter lie apart."),
    click.option("--mode", metavar="MODE", help="cross_correlation, or convolution to rotate a lesson's filter."),
    click.option("--window", metavar="N[,N]", help="Size of the window in the lesson pooling."),
    click.option("--learning-rate", metavar="NUMBER", help="Of the lesson update; of the lesson network."),
    click.option("--momentum", metavar="NUMBER", help="Of the lesson update."),
    click.option("--weight-decay", metavar="NUMBER", help="Of the lesson update."),
]


def _lesson_options(function: Any) -> Any:
    for option in reversed(_LESSON):
        function = option(function)
    return function


@click.command("explain")
@click.argument("target", metavar="[RUN_OR_CONFIG]", required=False, type=click.Path(path_type=Path))
@_lesson_options
@options.as_json
def command(target: Path | None, lesson: str | None, list_lessons: bool, as_json: bool, **given: Any) -> None:
    """Show every number of a step with the numbers it was made of.

    A lesson (--lesson NAME; --lessons lists them) goes from the chain rule to a formula in letters, and from there to
    the formula in numbers: its own, or those of --image, --filter, --delta and so on. Numbers are written as
    "1 2 3; 4 1/2 -0.5": blanks between numbers, ";" between rows, "|" between channels. What is shown came from the
    kernels that train and was compared with the sum that is shown.
    """
    if target is not None and (list_lessons or lesson is not None):
        raise click.UsageError("give either a run or a config, or --lesson NAME")
    if list_lessons:
        _list(as_json)
    elif lesson is not None:
        show_lesson(lesson, as_json, given)
    else:
        raise click.UsageError("give --lesson NAME; --lessons lists them")


def _list(as_json: bool) -> None:
    from cnntrain.explain.lessons import listing

    lessons = listing()
    click.echo(json.dumps(lessons) if as_json else "\n".join(f"{name:18} {about}" for name, about in lessons.items()))


def show_lesson(lesson: str, as_json: bool, given: dict[str, Any]) -> None:
    """Print a lesson; colours are for terminals, and for those who did not set NO_COLOR."""
    from cnntrain.explain.lessons import teach
    from cnntrain.explain.terminal import render

    document = teach(lesson, **given)
    if as_json:
        click.echo(json.dumps(document.as_dict()))
        return
    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    text = render(document, color=color)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "replace").decode(encoding), color=color)
