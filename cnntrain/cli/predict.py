"""`cnntrain predict`: pictures in, classes and probabilities out."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnntrain.cli import options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Answer = tuple[str, "list[tuple[str, float]] | str"]  # a file, and its classes or what is wrong with it


@click.command("predict")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--top", type=click.IntRange(min=1), default=1, show_default=True, metavar="K", help="The K most probable classes."
)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the table into a file, not to stdout.",
)
@options.as_json
@click.option("--skip-bad", is_flag=True, help="Exit with 0 although files could not be read.")
@click.option(
    "--batch",
    type=click.IntRange(min=1, max=100_000),
    default=64,
    show_default=True,
    metavar="N",
    help="Pictures at a time; the results do not depend on it.",
)
@options.allow_extensions
@options.threads
@click.pass_context
def command(
    ctx: click.Context,
    run: Path,
    paths: tuple[str, ...],
    top: int,
    csv_file: Path | None,
    as_json: bool,
    skip_bad: bool,
    batch: int,
    threads: int | None,
) -> None:
    """Recognise pictures with a trained network.

    RUN is a run folder (its best.safetensors is taken) or a checkpoint; nothing else is needed. PATH is a picture, a
    folder or zip archive of pictures, a pattern such as "photos/**/*.jpg", or - for names on standard input, one on
    each line. Pictures are turned, scaled and normalised as the training images were.

    Prints CSV: file, class, probability, and with --top K class_2, probability_2, ... A file that cannot be read is
    named on stderr, and the others go on; the exit code is 1 then, unless --skip-bad is given.
    """
    if csv_file is not None and as_json:
        raise click.UsageError("give either --csv FILE or --json")

    from cnntrain.data.chosen_files import ChosenFiles
    from cnntrain.data.terminal import ProgressBars
    from cnntrain.errors import CheckpointError
    from cnntrain.evaluation.assessment import check_same
    from cnntrain.evaluation.pictures import recognise
    from cnntrain.evaluation.restored import restore
    from cnntrain.kernels.compiler.report import announce
    from cnntrain.kernels.compiler.threads import set_threads
    from cnntrain.printable import message, printable
    from cnntrain.processes.agreement import agree
    from cnntrain.processes.division import part
    from cnntrain.processes.launch import joined
    from cnntrain.runs.folder import find_checkpoint

    team = joined()
    set_threads(threads or team.threads())
    restored = restore(find_checkpoint(run), batch_size=batch)
    check_same(team, restored)
    if restored.not_finite:
        raise CheckpointError(f"{restored.path}: NaN or infinity in {', '.join(restored.not_finite)}")
    class_names = list(restored.metadata.class_names)
    top = min(top, len(class_names))
    # a launcher passes standard input to process 0 alone
    names = io.BytesIO(team.from_first(sys.stdin.buffer.read)) if team.size > 1 and "-" in paths else sys.stdin.buffer
    files = ChosenFiles(paths, names)
    agree(team, {"the files to recognise": ", ".join(files.names)})
    share = part(len(files.names), team.size, team.rank)
    bad: list[dict[str, str]] = []
    found: list[dict[str, Any]] = []
    bars = ProgressBars()
    with _table(csv_file, None if as_json or not team.writes else top) as write, announce(_tell_of_compiling):
        try:
            results = recognise(restored, files, files.names[share.start : share.stop], bars)
            answers: Iterable[Answer] = ((name, _answer(result, class_names, top)) for name, result in results)
            if team.size > 1:
                answers = chain.from_iterable(team.gather(list(answers)))
            for name, best in answers:
                if isinstance(best, str):
                    bars.close()
                    click.echo(message(f"{printable(name)}: {best}"), err=True)
                    bad.append({"file": name, "reason": best})
                    continue
                if as_json:
                    found.append({"file": name, "classes": [{"class": of, "probability": p} for of, p in best]})
                else:
                    write([name, *(cell for of, p in best for cell in (of, f"{p:.6f}"))])
        finally:
            bars.close()
    if as_json:
        told = {"checkpoint": str(restored.path), "class_names": class_names, "predictions": found, "bad": bad}
        click.echo(json.dumps(told))
    if bad:
        click.echo(f"{len(bad):,} of {len(files.names):,} files could not be read", err=True)
        if not skip_bad:
            ctx.exit(1)


def _answer(
    probabilities: NDArray[np.float64] | Exception, class_names: list[str], top: int
) -> list[tuple[str, float]] | str:
    """Return the most probable classes; of equals the first. What is wrong with the file, if something is."""
    if isinstance(probabilities, Exception):
        return str(probabilities)
    order = (-probabilities).argsort(kind="stable")[:top]
    return [(class_names[label], float(probabilities[label])) for label in order]


@contextmanager
def _table(path: Path | None, top: int | None) -> Iterator[Callable[[list[str]], None]]:
    """Give what writes a row, its head written: into a file as it is, to stdout as a terminal may have it."""
    from cnntrain.errors import DataError
    from cnntrain.printable import as_text, printable

    if top is None:
        yield lambda row: None
        return
    head = ["file", "class", "probability"]
    head += [name for place in range(2, top + 1) for name in (f"class_{place}", f"probability_{place}")]
    if path is None:
        click.echo(_line(head), nl=False)
        yield lambda row: click.echo(_line(list(map(printable, row))), nl=False)
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(_line(head))

            def write(row: list[str]) -> None:
                file.write(_line(list(map(as_text, row))))

            yield write
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error


def _line(row: list[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(row)
    return stream.getvalue()


def _tell_of_compiling(kernel: str) -> None:
    click.echo(f"compiling {kernel} (once for this machine)", err=True)
