"""`cnntrain prove`: are the passes right, exactly, on whole numbers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnntrain.cli import options
from cnntrain.cli.targets import is_config

if TYPE_CHECKING:
    from cnntrain.shape import Shape
    from cnntrain.verify.proof_report import ProofReport
    from cnntrain.verify.proof_subject import Subject


@click.command("prove")
@click.argument("target", metavar="[CONFIG_OR_RUN]", required=False, type=click.Path(path_type=Path))
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="The YAML config.")
@options.overrides
@options.allow_extensions
@options.image
@options.classes
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="N",
    help="With numbers drawn anew; every other one with fewer images, whose last block is not full.",
)
@click.option("--layer", metavar="PATH", help="Prove this layer alone, and those inside it: --layer 0.conv2d.")
@click.option(
    "--images",
    type=click.IntRange(min=1),
    metavar="N",
    help="Images in the largest batch; train.batch_size (of one shard) otherwise. Algorithms are chosen for this size.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Of all numbers.")
@click.option(
    "--mutants",
    is_flag=False,
    flag_value="all",
    type=click.Choice(["all", "quick"]),
    help="Break the kernels on purpose instead, and say which of prove and gradcheck catches what; quick: without "
    "those that are compiled anew.",
)
@options.threads
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    target: Path | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    image: Shape | None,
    classes: int | None,
    trials: int,
    layer: str | None,
    images: int | None,
    seed: int,
    mutants: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Prove the passes of a network on whole numbers.

    Convolutions, dense layers, average pooling, sums and concatenations of a config (or of a run's config) run at their
    own sizes, through the algorithms that training takes, on whole numbers so small that nothing rounds. Their results
    must be those of the integers: <y, delta> = <grad_input, x> = <grad_weight, w>. Masks, dropout and optimisers are
    compared number by number, other layers and the loss pass Taylor's test of second order. Data are looked at for the
    size of the images only.

    Exits with 0 if all is proven, with 1 if something is wrong or nothing could be proven.
    """
    if mutants is not None:
        if target is not None or config_file is not None:
            raise click.UsageError("--mutants breaks networks of its own: give no config and no run with it")
        _mutants(ctx, mutants == "all", threads, as_json)
        return
    if (target is None) == (config_file is None):
        raise click.UsageError("give either a config, or a run folder or a checkpoint")
    report = _prove(target, config_file, overrides, image, classes, trials, layer, images, seed, threads)
    click.echo(json.dumps(report.as_dict()) if as_json else report.as_text())
    if not report.passed:
        ctx.exit(1)


def _subject(
    target: Path | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    image: Shape | None,
    classes: int | None,
) -> Subject:
    from cnntrain.runs.folder import find_checkpoint
    from cnntrain.verify.proof_subject import subject_of_checkpoint, subject_of_config

    if target is not None and not is_config(target):
        return subject_of_checkpoint(find_checkpoint(target), overrides, image, classes)
    path = config_file if target is None else target
    assert path is not None  # one of the two is given; for mypy
    return subject_of_config(path, overrides, image, classes)


def _prove(
    target: Path | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    image: Shape | None,
    classes: int | None,
    trials: int,
    layer: str | None,
    images: int | None,
    seed: int,
    threads: int | None,
) -> ProofReport:
    from tqdm import tqdm

    from cnntrain.kernels.compiler.report import announce
    from cnntrain.kernels.compiler.threads import set_threads
    from cnntrain.runs.reporter import Reporter
    from cnntrain.verify.proof_network import check_layer, prove_network, running
    from cnntrain.verify.proof_report import ProofReport

    reporter = Reporter()
    set_threads(threads)
    subject = _subject(target, config_file, overrides, image, classes)
    check_layer(subject.rows, layer)
    config = subject.config
    size = images or config.train.images_at_once
    bar = tqdm(total=len(running(subject.rows)), unit=" layers", leave=False, disable=not sys.stderr.isatty())
    with bar, announce(lambda kernel: reporter.line(f"compiling {kernel} (once for this machine)")):
        proofs = prove_network(
            subject.rows, size, loss=config.loss, optimizer=config.optimizer, direct=config.train.direct,
            trials=trials, seed=seed, layer=layer, on_layer=lambda path: bar.update(),
        )  # fmt: skip
    return ProofReport(subject.name, size, seed, proofs)


def _mutants(ctx: click.Context, sources: bool, threads: int | None, as_json: bool) -> None:
    from cnntrain.kernels.compiler.report import announce
    from cnntrain.kernels.compiler.threads import set_threads
    from cnntrain.runs.reporter import Reporter
    from cnntrain.verify.mutation import MutationReport, run_mutants

    reporter = Reporter()
    set_threads(threads)
    with announce(lambda kernel: reporter.line(f"compiling {kernel} (once for this machine)")):
        report = MutationReport(run_mutants(sources, reporter.line))
    click.echo(json.dumps(report.as_dict()) if as_json else report.as_text())
    if not report.passed:
        ctx.exit(1)
