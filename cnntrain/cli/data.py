"""`cnntrain data`: fetch published data sets, and look at what a config's data are."""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from pathlib import Path

import click

from cnntrain.cli import options

PUBLISHED = ("mnist", "fashion-mnist", "cifar10")  # a test compares these with data/published.py


@click.group("data")
def command() -> None:
    """Fetch published data sets, and look at data."""


@command.command("download")
@click.argument("name", type=click.Choice(PUBLISHED))
@click.option("--to", "folder", type=click.Path(path_type=Path), metavar="DIR", help="Where to; data/<NAME> otherwise.")
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL",
    help="Address of a folder that has the files; tried before the known ones.",
)
def download(name: str, folder: Path | None, mirrors: tuple[str, ...]) -> None:
    """Fetch a published data set.

    Every file's checksum is compared with the published one. A broken download goes on where it stopped, now or when
    the command is given again; until a file is complete it is called <file>.part. Prints the folder.
    """
    from cnntrain.data.download import download as fetch
    from cnntrain.data.progress import ProgressBars
    from cnntrain.data.published import PUBLISHED as KNOWN

    wrong = [mirror for mirror in mirrors if not mirror.startswith(("http://", "https://"))]
    if wrong:
        raise click.UsageError(f"--mirror {wrong[0]}: must begin with http:// or https://")
    folder = folder or Path("data") / name
    bars = ProgressBars("B")
    try:
        fetch(KNOWN[name], folder, mirrors=mirrors, progress=bars, tell=lambda text: click.echo(text, err=True))
    finally:
        bars.close()
    click.echo(folder)


@command.command("inspect")
@options.config
@options.overrides
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="train",
    show_default=True,
    help="Which images.",
)
@click.option("--images/--no-images", default=True, show_default=True, help="Draw a few images.")
@options.as_json
def inspect(config_file: Path, overrides: tuple[str, ...], split: str, images: bool, as_json: bool) -> None:
    """Show what a config's data are: counts, shapes, class balance, values, and a few images.

    Values are those stored, before normalisation.
    """
    from cnntrain.config import load_config
    from cnntrain.data import load_data
    from cnntrain.data.drawing import as_bytes, draw
    from cnntrain.data.inspection import Inspection, examples
    from cnntrain.data.progress import ProgressBars

    config = load_config(config_file, overrides)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        data = load_data(config.data, config.seed, ProgressBars())
    for warning in caught:
        click.echo(f"warning: {warning.message}", err=True)
    found = Inspection.of(data, split)
    if as_json:
        click.echo(json.dumps({"name": config.name, "path": config.data.path, **found.as_dict()}))
        return
    click.echo(f"{config.name}: {config.data.source} in {config.data.path}")
    click.echo(found.as_text())
    if images:
        pictures, labels = examples(data.split(split), 10)
        captions = [data.class_names[label] for label in labels]
        color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        width = shutil.get_terminal_size((100, 24)).columns
        click.echo(draw(as_bytes(pictures), captions, width, color=color), color=color)
