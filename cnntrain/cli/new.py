"""`cnntrain new`: a commented config to start from."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from cnntrain.printable import printable

_STARTERS = Path(__file__).parent / "starters"
_KINDS = ("mnist", "photos")
_SCHEMA = "cnntrain.schema.json"  # as the first line of each starter has it


@click.command("new")
@click.argument("kind", type=click.Choice(_KINDS), default="mnist")
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=Path())
def command(kind: str, folder: Path) -> None:
    """Write a config to start from.

    mnist (what you get without a word) is about handwritten digits, photos about image files of your own in one folder
    for each class. The config goes into DIR, the working directory otherwise, with cnntrain.schema.json beside it, by
    which editors with a YAML language server complete and check keys. Nothing is ever overwritten. Prints what to
    do next on stderr, and the config's path.
    """
    from cnntrain.config.schema import json_schema
    from cnntrain.errors import RunFolderError

    config, schema = folder / f"{kind}.yaml", folder / _SCHEMA
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with config.open("x", encoding="utf-8") as file:
            file.write((_STARTERS / config.name).read_text(encoding="utf-8"))
        kept = schema.exists()
        if not kept:
            with schema.open("x", encoding="utf-8") as file:
                file.write(json.dumps(json_schema(), indent=2) + "\n")
    except FileExistsError as error:
        there = config if folder.is_dir() else folder
        raise RunFolderError(f"{there}: is there already, and nothing is overwritten: name another folder") from error
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be written: {error.strerror or error}") from error
    if kept:
        click.echo(f"{printable(str(schema))} is left as it is (cnntrain check --schema prints today's)", err=True)
    click.echo("next:", err=True)
    if folder != Path():
        click.echo(f"  cd {printable(shlex.quote(str(folder)))}", err=True)
    for line in _next_steps(config):
        click.echo(f"  {line}", err=True)
    click.echo(printable(str(config)))


def _next_steps(config: Path) -> list[str]:
    """Return the commands in the head comment of a starter."""
    head = config.read_text(encoding="utf-8").partition("\nname:")[0].splitlines()
    return [line.lstrip("# ") for line in head if line.lstrip("# ").startswith("cnntrain ")]
