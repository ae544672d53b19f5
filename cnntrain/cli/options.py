"""Options that several commands share, so that they mean and say the same everywhere."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnntrain import extensions
from cnntrain.processes import launch

if TYPE_CHECKING:
    from cnntrain.shape import Shape

_config_option = click.option(
    "--config", "config_option", type=click.Path(path_type=Path), metavar="FILE", help="The YAML config."
)
_recipe_option = click.option(
    "--recipe", metavar="NAME", help="A recipe of the package in place of a config; `cnntrain recipes` lists them."
)


def config(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take a config as CONFIG, --config FILE or --recipe NAME: exactly one of them, passed on as `config_file`."""
    return _with_config(command, required=True)


def config_if_given(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take a config as `config` does, or none: `config_file` is None then."""
    return _with_config(command, required=False)


def _with_config(command: Callable[..., Any], required: bool) -> Callable[..., Any]:
    @functools.wraps(command)
    def run(*args: Any, plain: Path | None, config_option: Path | None, recipe: str | None, **keys: Any) -> Any:
        return command(*args, config_file=one_config(plain, config_option, recipe, required), **keys)

    argument = click.argument("plain", metavar="[CONFIG]", required=False, type=click.Path(path_type=Path))
    return argument(_config_option(_recipe_option(run)))


def config_beside(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take --config FILE or --recipe NAME beside an argument of the command's own; passed on as `config_file`."""

    @functools.wraps(command)
    def run(*args: Any, config_option: Path | None, recipe: str | None, **keys: Any) -> Any:
        return command(*args, config_file=one_config(None, config_option, recipe, required=False), **keys)

    return _config_option(_recipe_option(run))


def one_config(plain: Path | None, option: Path | None, recipe: str | None, required: bool) -> Path | None:
    """Return the one config that was named; a usage error for several, or for none where one is required."""
    given = [
        name for name, value in (("CONFIG", plain), ("--config", option), ("--recipe", recipe)) if value is not None
    ]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} both name a config: give one of them")
    if required and not given:
        raise click.UsageError("name a config: CONFIG, --config FILE or --recipe NAME")
    if recipe is not None:
        from cnntrain.config.recipes import recipe_path

        return recipe_path(recipe)
    return plain if plain is not None else option


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
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads to use, and to keep; otherwise as many as go fastest.",
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


def _patience(ctx: click.Context, parameter: click.Parameter, value: float | None) -> None:
    if value is not None:
        if math.isnan(value):
            raise click.BadParameter("must be a number of seconds, or inf to wait for ever")
        launch.joined().patience = value


patience = click.option(
    "--patience",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    expose_value=False,
    callback=_patience,
    help="Of several processes: how long one waits for the others before all end; 600 otherwise.",
)
