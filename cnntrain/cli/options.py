"""Options that several commands share, so that they mean and say the same everywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnntrain import extensions

if TYPE_CHECKING:
    from cnntrain.shape import Shape

config = click.option(
    "--config", "config_file", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The YAML config."
)
overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a config value: --set train.epochs=3."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


def _allow_extensions(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.with_resource(extensions.allowed())


allow_extensions = click.option(
    "--allow-extensions",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_allow_extensions,
    help="Run the Python files that the config names under extensions:. Read them first.",
)
threads = click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="Threads to use; all cores otherwise."
)


def _shape(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Shape | None:
    if value is None:
        return None
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", value):
        raise click.BadParameter("must be channels, rows and columns: 3x32x32")
    from cnntrain.shape import Shape

    return Shape(*map(int, value.split("x")))


image = click.option(
    "--image", callback=_shape, metavar="CxHxW", help="Size of the images; that of the config's data otherwise."
)
classes = click.option(
    "--classes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of classes; that of the config's data otherwise.",
)
