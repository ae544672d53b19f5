"""`cnntrain explain`: every number of backpropagation with the numbers it was made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cnntrain.cli import options
from cnntrain.cli.explain_options import network_options, show_network


@click.command("explain")
@click.argument("target", metavar="RUN_OR_CONFIG", type=click.Path(path_type=Path))
@click.option("--image", multiple=True, metavar="FILE", help="An image file instead of one of the data.")
@network_options
@options.as_json
def command(target: Path, image: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Show every number of a step with the numbers it was made of."""
    show_network(target, image, as_json, given)
