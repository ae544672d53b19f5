"""`cnntrain data`: fetch published data sets, look at what a config's data are, and keep order among decoded images."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import click

from cnntrain.cli import SuggestingGroup, options
from cnntrain.cli.targets import is_config


class PublishedNames(click.Choice):
    """The names of the published data sets; looked up when somebody asks, since the sources import pydantic."""

    def __init__(self) -> None:
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]  # an attribute there
        """Names of the sources of one published data set."""
        from cnntrain.data import SOURCES

        return tuple(name for name, source in SOURCES.items() if source.published is not None)


@click.group("data", cls=SuggestingGroup)
def command() -> None:
    """Fetch published data sets, look at data, clear decoded images."""


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
    from cnntrain.printable import message

    wrong = [mirror for mirror in mirrors if not mirror.startswith(("http://", "https://"))]
    if wrong:
        raise click.UsageError(f"--mirror {wrong[0]}: must begin with http:// or https://")
    published, folder = SOURCES[name].published, folder or Path("data") / name
    assert published is not None  # one of the choices; for mypy
    bars = ProgressBars("B")
    try:
        fetch(published, folder, mirrors=mirrors, progress=bars, tell=lambda text: click.echo(message(text), err=True))
    finally:
        bars.close()
    click.echo(folder)


@command.command("cache")
@click.option("--unused", type=click.FloatRange(min=0), metavar="DAYS", help="Only what was not used for so many days.")
@click.option("--gone", is_flag=True, help="Only what was decoded from data that are no longer there.")
@click.option("--clear", is_flag=True, help="Remove them: all, or those that --unused and --gone name.")
@options.as_json
def cache(unused: float | None, gone: bool, clear: bool, as_json: bool) -> None:
    """List the decoded images that the source `folder` keeps, or remove them.

    One line each: size, days since it was used last, what was decoded. What is removed is decoded again when it is
    needed.
    """
    from cnntrain.data.cache_entries import entries, remove
    from cnntrain.data.decoded_cache import decoded_folder
    from cnntrain.printable import printable

    chosen = [entry for entry in entries() if (unused is None or entry.days >= unused) and (entry.is_gone or not gone)]
    if clear:
        chosen = [entry for entry in chosen if remove(entry)]
    total = sum(entry.size for entry in chosen)
    if as_json:
        listed = [entry.as_dict() for entry in chosen]
        click.echo(json.dumps({"folder": str(decoded_folder()), "removed": clear, "bytes": total, "entries": listed}))
        return
    for entry in chosen:
        source = entry.folder.name if entry.source is None else str(entry.source)
        state = f"  ({entry.state})" if entry.state and not clear else ""
        click.echo(f"{entry.size / 1e6:>10,.1f} MB  {entry.days:>6,.1f} days  {printable(source)}{state}")
    verb = "removed " if clear else ""
    count = f"{len(chosen):,} {'entry' if len(chosen) == 1 else 'entries'}"
    click.echo(f"{verb}{count}, {total / 1e6:,.1f} MB, in {printable(str(decoded_folder()))}")


@command.command("inspect")
@click.argument("target", metavar="[PATH_OR_CONFIG]", required=False, type=click.Path(path_type=Path))
@options.config_beside
@options.overrides
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="train",
    show_default=True,
    help="Which images.",
)
@click.option("--images/--no-images", default=True, show_default=True, help="Draw a few images.")
@click.option(
    "--write",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With PATH, write the suggested config into a new file.",
)
@options.as_json
def inspect(
    target: Path | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    split: str,
    images: bool,
    write: Path | None,
    as_json: bool,
) -> None:
    """Show what data are: a folder or zip of image files, or what a config names.

    PATH is a folder or zip archive of image files. Every file is read: all that are damaged are named with the reason,
    then sizes, modes, how many images each class has in each split, pictures that are there twice (also in different
    formats; across splits that is a leak), and a config to begin with.

    Of a config's data: counts, shapes, class balance, values and a few images of --split. Values are those stored,
    before normalisation.
    """
    if (target is None) == (config_file is None):
        raise click.UsageError(
            "give one thing to look at: a folder or zip of images, or a config (CONFIG, --config FILE or --recipe NAME)"
        )
    if config_file is None and target is not None and not is_config(target):
        if overrides:
            raise click.UsageError("--set changes a config; PATH has none")
        _inspect_files(target, write, as_json)
        return
    if write is not None:
        raise click.UsageError("--write goes with a folder or zip of images")
    _inspect_config(config_file or target or Path(), overrides, split, images, as_json)


def _inspect_files(path: Path, write: Path | None, as_json: bool) -> None:
    from cnntrain.data.survey import survey
    from cnntrain.data.survey_config import suggested_config
    from cnntrain.data.survey_report import as_dict, as_lines
    from cnntrain.data.terminal import ProgressBars
    from cnntrain.errors import DataError

    bars = ProgressBars()
    try:
        found = survey(path, bars)
    finally:
        bars.close()
    if write is not None:
        if found.problem or not found.pictures:
            raise DataError(f"{path}: {found.problem or 'no image can be read'}: there is no config for that")
        try:
            with write.open("x", encoding="utf-8") as file:
                file.write(suggested_config(found))
        except OSError as error:
            raise DataError(f"{write}: cannot be written: {error.strerror or error}") from error
    click.echo(json.dumps(as_dict(found)) if as_json else "\n".join(as_lines(found)))


def _inspect_config(config_file: Path, overrides: tuple[str, ...], split: str, images: bool, as_json: bool) -> None:
    from cnntrain.config import load_config
    from cnntrain.data.dataset import constant_channel
    from cnntrain.data.drawing import as_bytes, draw
    from cnntrain.data.inspection import Inspection, examples
    from cnntrain.data.terminal import load_and_tell
    from cnntrain.printable import printable

    config = load_config(config_file, overrides)
    told: list[str] = []
    data = load_and_tell(config.data, config.seed, told.append)
    found = Inspection.of(data, split)
    constant = [constant_channel(channel) for channel, std in enumerate(found.std) if std == 0 and split == "train"]
    for text in dict.fromkeys([*told, *constant]):
        click.echo(f"warning: {text}", err=True)
    if as_json:
        click.echo(json.dumps({"name": config.name, "path": config.data.path, **found.as_dict()}))
        return
    click.echo(f"{config.name}: {config.data.source} in {printable(config.data.path)}")
    click.echo(found.as_text())
    if images:
        pictures, labels = examples(data.split(split), 10)
        captions = [printable(data.class_names[label]) for label in labels]
        color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        width = shutil.get_terminal_size((100, 24)).columns
        click.echo(draw(as_bytes(pictures), captions, width, color=color), color=color)
