"""`cnntrain explain`: every number of a step with the numbers it was made of, of a network of yours or of a lesson."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from cnntrain.cli import explain_options, options

_LESSON = [
    click.option(
        "--lesson",
        is_flag=False,
        flag_value="",  # without a name: the error that lists them
        metavar="NAME",
        help="Explain one part of backpropagation on a few numbers.",
    ),
    click.option("--lessons", "list_lessons", is_flag=True, help="List the lessons, with one line each."),
    click.option("--filter", multiple=True, metavar="NUMBERS", help='A lesson\'s filter: "1 2; 3 4"; again for more.'),
    click.option("--delta", multiple=True, metavar="NUMBERS", help="A lesson's dL/dz; again for a batch."),
    click.option("--bias", metavar="NUMBERS", help="A lesson's bias; one for each filter."),
    click.option("--stride", metavar="N[,N]", help="How far a lesson's window moves."),
    click.option("--padding", metavar="N[,N]", help="Zeros around a lesson's image; or same, valid, full."),
    click.option("--dilation", metavar="N[,N]", help="How far the taps of a lesson's filter lie apart."),
    click.option("--mode", metavar="MODE", help="cross_correlation, or convolution to rotate a lesson's filter."),
    click.option("--window", metavar="N[,N]", help="Size of the window in the lesson pooling."),
    click.option("--learning-rate", metavar="NUMBER", help="Of the lessons update and network."),
    click.option("--momentum", metavar="NUMBER", help="Of the lesson update."),
    click.option("--weight-decay", metavar="NUMBER", help="Of the lesson update."),
]


def _lesson_options(function: Any) -> Any:
    for option in reversed(_LESSON):
        function = option(function)
    return function


@click.command("explain")
@click.argument("target", metavar="[RUN_OR_CONFIG]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--image",
    multiple=True,
    metavar="FILE|NUMBERS",
    help='A network: an image file instead of one of the data. A lesson: "1 2; 3 4", channels between |; again for a '
    "batch.",
)
@explain_options.network_options
@_lesson_options
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Write a page for a browser; with --lessons a folder with a page for each.",
)
@options.as_json
def command(
    target: Path | None,
    image: tuple[str, ...],
    lesson: str | None,
    list_lessons: bool,
    html: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Show every number of a step with the numbers it was made of.

    Of RUN_OR_CONFIG: its layers in one training step with an image of its data, or one number of them with --layer.

    Of a lesson (--lesson NAME; --lessons lists them): from the chain rule to a formula in letters, and from there to
    the formula in numbers, its own or those of --image, --filter, --delta and so on. Numbers are written as
    "1 2 3; 4 1/2 -0.5": blanks between numbers, ";" between rows, "|" between channels.

    What is shown came from the kernels that train and was compared with the sum that is shown.
    """
    taught = list_lessons or lesson is not None
    if taught == (target is not None):
        raise click.UsageError("give either a run or a config, or --lesson NAME (--lessons lists them)")
    network = {name: given.pop(name) for name in explain_options.NAMES}
    if target is not None:
        explain_options.refuse(given, "a lesson: give --lesson NAME")
        explain_options.show_network(target, image, as_json, network, html)
        return
    explain_options.refuse(network, "a run or a config")
    if list_lessons:
        explain_options.refuse({"image": image, **given}, "one lesson: give --lesson NAME")
        show_list(as_json, html)
    else:
        assert lesson is not None  # for mypy
        show_lesson(lesson, as_json, {"image": image, **given}, html)


def show_list(as_json: bool, folder: Path | None = None) -> None:
    """Print the names of the lessons; write all of them as pages if there is a folder for them."""
    from cnntrain.explain.lessons import listing

    lessons = listing()
    if folder is not None:
        from cnntrain.explain.page.save import save_lessons

        save_lessons(folder)
        click.echo(f"{folder / 'index.html'}: {len(lessons)} lessons", err=True)
    click.echo(json.dumps(lessons) if as_json else "\n".join(f"{name:18} {about}" for name, about in lessons.items()))


def show_lesson(lesson: str, as_json: bool, given: dict[str, Any], html: Path | None = None) -> None:
    """Print a lesson, or write it as a page; colours are for terminals, and for those who did not set NO_COLOR."""
    from cnntrain.explain.lessons import teach
    from cnntrain.explain.terminal import render

    document = teach(lesson, **given)
    if html is not None:
        from cnntrain.explain.page import lesson_page
        from cnntrain.explain.page.save import save_page

        click.echo(f"{html}: {save_page(html, lesson_page(document)):,} bytes", err=True)
    if as_json:
        click.echo(json.dumps(document.as_dict()))
    elif html is None:
        color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        text = render(document, color=color)
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        click.echo(text.encode(encoding, "replace").decode(encoding), color=color)
