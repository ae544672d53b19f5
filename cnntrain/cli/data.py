"""`cnntrain data`: fetch published data sets, and look at what a config's data are."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import click

from cnntrain.cli import options


class PublishedNames(click.Choice):
    """The names of the published data sets; looked up when somebody asks, since the sources import pydantic."""

    def __init__(self) -> None:
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]  # an attribute there
        """Names of the sources of one published data set."""
        from cnntrain.data import SOURCES

        return tuple(name for name, source in SOURCES.items() if source.published is not None)


@click.group("data")
def command() -> None:
    """Fetch published data sets, and look at data."""


@command.command("download")
@click.argument("name", type=PublishedNames())
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
    from cnntrain.data import SOURCES
    from cnntrain.data.download import download as fetch
    from cnntrain.data.terminal import ProgressBars

    wrong = [mirror for mirror in mirrors if not mirror.startswith(("http://", "https://"))]
    if wrong:
        raise click.UsageError(f"--mirror {wrong[0]}: must begin with http:// or https://")
    published, folder = SOURCES[name].published, folder or Path("data") / name
    assert published is not None  # one of the choices; for mypy
    bars = ProgressBars("B")
    try:
        fetch(published, folder, mirrors=mirrors, progress=bars, tell=lambda text: click.echo(text, err=True))
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
    from cnntrain.data.drawing import as_bytes, draw
    from cnntrain.data.inspection import Inspection, examples
    from cnntrain.data.terminal import load_and_tell

    config = load_config(config_file, overrides)
    data = load_and_tell(config.data, config.seed, lambda text: click.echo(f"warning: {text}", err=True))
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
