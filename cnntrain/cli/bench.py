"""`cnntrain bench`: how fast, pass by pass, against what this machine could do."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnntrain.cli import options

if TYPE_CHECKING:
    from cnntrain.bench.report import NetworkReport, ShapesReport
    from cnntrain.bench.subject import Subject
    from cnntrain.runs.reporter import Reporter
    from cnntrain.shape import Shape


def _numbers(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    if value is None:
        return None
    if not re.fullmatch(r"\d+(,\d+)*", value):
        raise click.BadParameter("must be numbers with commas between them: 1,2,4")
    return [int(number) for number in value.split(",")]


@click.command("bench")
@options.config_if_given
@click.option(
    "--shapes",
    multiple=True,
    metavar='"N,C,HxW,K,R,stride,pad ..."',
    help="Convolutions of these shapes, or dense layers N,inputs,units; instead of a config.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="PASS=ALGORITHM",
    help="With --shapes, compute forward, to-input or to-weights by this algorithm: --only forward=direct.",
)
@options.overrides
@options.allow_extensions
@options.image
@options.classes
@click.option(
    "--threads",
    callback=_numbers,
    metavar="1,2,...",
    help="Numbers of threads to measure with; 1, 2, 4, ... and all otherwise.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=10,
    show_default=True,
    metavar="S",
    help="About how long to measure.",
)
@click.option("--explain", is_flag=True, help="Say below the table why no other algorithms were chosen.")
@options.as_json
def command(
    config_file: Path | None,
    shapes: tuple[str, ...],
    only: tuple[str, ...],
    overrides: tuple[str, ...],
    image: Shape | None,
    classes: int | None,
    threads: list[int] | None,
    seconds: float,
    explain: bool,
    as_json: bool,
) -> None:
    """Measure a network's speed, pass by pass.

    Makes training steps on random images and measures every pass of every layer inside them: time, useful GFLOP/s,
    share of the peak of this machine (measured in between, by multiply-adds on registers alone) and share of the step;
    and whole steps of training and evaluation for each number of threads. The data are looked at for the size of the
    images only. Random augmentation is not measured.
    """
    if (config_file is None) == (not shapes):
        raise click.UsageError("give either a config (CONFIG, --config FILE or --recipe NAME) or --shapes")
    if only and not shapes:
        raise click.UsageError("--only goes with --shapes")

    from cnntrain.bench.machine import thread_counts
    from cnntrain.runs.reporter import Reporter

    reporter = Reporter()
    counts = thread_counts(threads)
    result: NetworkReport | ShapesReport
    if config_file is None:
        result = _bench_shapes(shapes, only, counts, seconds, reporter)
    else:
        from cnntrain.bench.subject import subject_of_config

        subject = subject_of_config(config_file, overrides, image, classes)
        result = _bench_network(subject, counts, seconds, reporter)
    click.echo(json.dumps(result.as_dict()) if as_json else result.as_text(explain))


def _bench_network(subject: Subject, threads: list[int], seconds: float, reporter: Reporter) -> NetworkReport:
    from cnntrain.bench.machine import peak_memory
    from cnntrain.bench.network import measure_network
    from cnntrain.bench.report import NetworkReport
    from cnntrain.kernels.compiler.report import reported

    with reported(reporter.line) as compiled:
        subject.warm_up()
    subject.train()
    memory = peak_memory()  # of what a training has too
    with reported(reporter.line), _progress() as progress:
        runs = measure_network(subject, threads, seconds, progress)
    return NetworkReport(
        name=subject.config.name,
        images=subject.network.batch_size,
        parameters=sum(parameter.value.size for parameter in subject.network.parameters),
        runs=runs,
        memory=memory,
        compiled=bool(compiled),
        threading_layer=_threading_layer(reporter),
    )


def _bench_shapes(
    texts: Sequence[str], only: Sequence[str], threads: list[int], seconds: float, reporter: Reporter
) -> ShapesReport:
    from cnntrain.bench.report import ShapesReport
    from cnntrain.bench.shapes import measure_shapes, parse_only, parse_shapes
    from cnntrain.kernels.compiler.report import reported

    shapes = parse_shapes(texts)
    algorithms = parse_only(only, shapes)
    with reported(reporter.line), _progress() as progress:
        peaks, passes = measure_shapes(shapes, threads, seconds, progress, algorithms)
    return ShapesReport(peaks, passes, _threading_layer(reporter))


def _threading_layer(reporter: Reporter) -> str:
    from cnntrain.kernels.compiler.threads import threading_layer, threading_layer_warning

    layer = threading_layer()
    if warning := threading_layer_warning(layer):
        reporter.warning(warning)
    return layer


@contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """Show a bar on a terminal; gives the function that sets the share that is done."""
    from tqdm import tqdm

    with tqdm(
        total=100, desc="measuring", leave=False, disable=not sys.stderr.isatty(), bar_format="{l_bar}{bar}|"
    ) as bar:

        def show(share: float) -> None:
            bar.update(round(100 * share) - bar.n)

        yield show
