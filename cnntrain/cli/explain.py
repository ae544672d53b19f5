"""`cnntrain explain`: every number of backpropagation with the numbers it was made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from cnntrain.cli import options


@click.command("explain")
@click.argument("target", metavar="[RUN_OR_CONFIG]", required=False, type=click.Path(path_type=Path))
@click.option("--lesson", metavar="NAME", help="Explain one part of backpropagation on a few numbers.")
@click.option("--lessons", "list_lessons", is_flag=True, help="List the lessons, with one line each.")
@click.option("--image", metavar="NUMBERS", help='Of a lesson: the image\'s rows, "1 2 3; 4 5 6"; channels between |.')
@click.option("--filter", "filter_", metavar="NUMBERS", help="Of a lesson: the filter's rows; channels between |.")
@click.option("--delta", metavar="NUMBERS", help="Of a lesson: dL/dz, which comes from behind.")
@click.option("--bias", metavar="NUMBER", help="Of a lesson: the filter's bias.")
@click.option("--stride", metavar="N[,N]", help="Of a lesson: how far the window moves.")
@click.option("--padding", metavar="N[,N]", help='Of a lesson: zeros around the image, or "same", "valid", "full".')
@click.option("--dilation", metavar="N[,N]", help="Of a lesson: how far the filter's taps lie apart.")
@click.option("--mode", metavar="MODE", help='Of a lesson: "cross_correlation", or "convolution" to rotate the filter.')
@options.as_json
def command(target: Path | None, lesson: str | None, list_lessons: bool, as_json: bool, **given: Any) -> None:
    """Show every number of backpropagation with the numbers it was made of.

    A lesson goes from the chain rule to a formula in letters, and then to the formula in numbers: its own, or yours.
    `--lessons` lists them.
    """
    if list_lessons or lesson is not None:
        if target is not None:
            raise click.UsageError("give either a run or a config, or --lesson NAME")
        from cnntrain.explain.lessons import listing, teach

        if list_lessons:
            click.echo(json.dumps(listing()) if as_json else "\n".join(f"{n:18}{s}" for n, s in listing().items()))
            return
        from cnntrain.explain.terminal import render

        assert lesson is not None
        document = teach(lesson, **given)
        click.echo(json.dumps(document.as_dict()) if as_json else render(document))
        return
    raise click.UsageError("give --lesson NAME; --lessons lists them")
