"""A command: `cnntrain count`."""

from __future__ import annotations

from pathlib import Path

import click

from cnntrain.cli import options


@click.command("count")
@options.config
@options.overrides
def command(config_file: Path, overrides: tuple[str, ...]) -> None:
    """Count the images of a config's data."""
    from cnntrain.config import load_config
    from cnntrain.data import load_data

    config = load_config(config_file, overrides)
    click.echo(len(load_data(config.data, config.seed).train))
