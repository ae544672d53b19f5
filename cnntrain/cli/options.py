"""Options that several commands share, so that they mean and say the same everywhere."""

from __future__ import annotations

from pathlib import Path

import click

config = click.option(
    "--config", "config_file", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The YAML config."
)
overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a config value: --set train.epochs=3."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
threads = click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="Threads to use; all cores otherwise."
)
