"""`cnntrain report`: runs side by side, in the terminal and as a page."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnntrain.cli import options
from cnntrain.terminal import has_colours, painted, width_of

if TYPE_CHECKING:
    from cnntrain.report.records import RunRecord

NOTHING_READ, SOMETHING_LEFT_OUT = 2, 1
LeftOut = list[tuple[str, str]]


@click.command("report")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with curves, confusions and pictures."
)
@click.option(
    "--split",
    type=click.Choice(["test", "validation", "train"]),
    help="Which images the page is about; validation where the run has one, otherwise test.",
)
@options.overrides
@options.allow_extensions
@options.threads
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    runs: tuple[Path, ...],
    html: Path | None,
    split: str | None,
    overrides: tuple[str, ...],
    threads: int | None,
    as_json: bool,
) -> None:
    """Compare runs: a table, and a page with curves and pictures.

    Prints their best epochs, times and sizes, and what differs between their configs. With --html also a page that
    opens offline: curves, confusion matrix, each class, the worst mistakes and the least sure right answers with
    pictures and file names, filters, layers, environment, config. Runs that still train may be looked at. --set changes
    where their data are looked for (data.path=...).

    A run that is damaged is named and left out; the exit code is then 1, and 2 if none can be read.
    """
    from cnntrain.report.summary import Summary

    found, left_out = _read(runs)
    for name, reason in left_out:
        _warn(f"left out: {reason}" if reason.startswith(name) else f"left out {name}: {reason}")
    if not found:
        ctx.exit(NOTHING_READ)
    damaged = [run.damage for run in found if run.damage is not None]
    for damage in damaged:
        _warn(damage)
    if html is not None:
        _write_page(html, found, left_out, split, overrides, threads)
    summary = Summary(found)
    if as_json:
        unread = [{"run": name, "reason": reason} for name, reason in left_out]
        click.echo(json.dumps({**summary.as_dict(), "left_out": unread, "html": None if html is None else str(html)}))
    else:
        head, *rest = summary.as_text(width_of(sys.stdout)).splitlines()
        click.echo("\n".join([painted(head, "bold", sys.stdout), *rest]), color=has_colours(sys.stdout))
    if left_out or damaged:
        ctx.exit(SOMETHING_LEFT_OUT)


def _read(paths: Sequence[Path]) -> tuple[list[RunRecord], LeftOut]:
    """Read runs; return them, and the paths that are none with the reasons."""
    from cnntrain.errors import CnntrainError
    from cnntrain.printable import as_text, printable
    from cnntrain.report.records import labels_of, read_run

    found, left_out = [], []
    for path, label in zip(paths, labels_of(paths), strict=True):
        try:
            found.append(read_run(path, label))
        except CnntrainError as error:  # noqa: PERF203, one run shall not hide the others
            left_out.append((printable(as_text(str(path))), str(error)))
    return found, left_out


def _write_page(
    file: Path,
    runs: Sequence[RunRecord],
    left_out: LeftOut,
    split: str | None,
    overrides: Sequence[str],
    threads: int | None,
) -> None:
    from cnntrain.kernels.compiler.threads import set_threads
    from cnntrain.report.insight import Loading, look_into
    from cnntrain.report.page import page_of
    from cnntrain.runs.disk import write_atomically

    set_threads(threads)
    load = Loading(_warn)
    insights = []
    for run in runs:
        insights.append(look_into(run, split, load, overrides))
        problem = insights[-1].problem
        if problem is not None and run.damage is None:
            _warn(f"{run.folder.path}: {problem}")
    write_atomically(file, page_of(runs, insights, left_out).encode())
    click.echo(f"the page is in {file}", err=True)


def _warn(text: str) -> None:
    from cnntrain.printable import message

    click.echo(f"{painted('warning:', 'yellow', sys.stderr)} {message(text)}", err=True, color=has_colours(sys.stderr))
